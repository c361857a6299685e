"""Raw photos are shown by the camera's own preview, upright, else by what the sensor saw."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.errors import PictureError
from isthmus.images import raw
from isthmus.images.open import open_picture, size_of
from isthmus.photos.index import index
from isthmus.photos.metadata import metadata_of
from isthmus.photos.store import Library

from ..photos.fakes import ColourEmbedder
from .samples import dng

pytest.importorskip("rawpy", reason="pip install 'isthmus[raw]'")

RED, BLUE = (200, 30, 40), (20, 40, 210)


def sensor(width: int = 1600, height: int = 1200) -> np.ndarray:
    """Red all over."""
    y, x = np.mgrid[:height, :width]
    return np.where((y % 2 == 0) & (x % 2 == 0), 60000, 3000).astype(np.uint16)


def preview(width: int = 1200, height: int = 900, exif: Image.Exif | None = None) -> bytes:
    """Blue at the left, red at the right."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (0, 0, width // 2, height))
    out = BytesIO()
    picture.save(out, "JPEG", quality=95, **({"exif": exif} if exif else {}))
    return out.getvalue()


def colour(picture: Image.Image, x: float, y: float) -> str:
    red, _, blue = picture.getpixel((int(x * picture.width), int(y * picture.height)))
    return "red" if red > blue else "blue"


@pytest.mark.parametrize(("orientation", "blue"), [(1, (0.1, 0.5)), (3, (0.9, 0.5)), (6, (0.5, 0.1)), (8, (0.5, 0.9))])
def test_the_preview_is_shown_upright(orientation: int, blue: tuple[float, float]) -> None:
    data = dng(sensor(), preview(), orientation)
    size = (1200, 900) if orientation in (1, 3) else (900, 1200)
    for at_least in (None, 224):
        picture = open_picture(data, at_least=at_least)
        assert (picture.width, picture.height) == size_of(data) == size
        assert colour(picture.image, *blue) == "blue"
        assert colour(picture.image, 1 - blue[0], 1 - blue[1]) == "red"


def test_a_preview_that_says_itself_how_it_is_turned_is_believed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = preview(exif=exif)
    data = data[:2] + data[20:]  # as cameras write it: EXIF first, no JFIF
    picture = open_picture(dng(sensor(), data, 1))
    assert colour(picture.image, 0.9, 0.5) == "blue"


@pytest.mark.parametrize("small", [None, preview(160, 120)])
def test_without_a_large_preview_the_sensor_s_values_are_shown(small: bytes | None) -> None:
    picture = open_picture(dng(sensor(), small, 6))
    assert (picture.width, picture.height) == (600, 800)
    assert colour(picture.image, 0.1, 0.1) == colour(picture.image, 0.9, 0.9) == "red"


def test_more_pixels_than_allowed_are_not_developed() -> None:
    with pytest.raises(PictureError, match="1600 x 1200 pixels") as refused:
        open_picture(dng(sensor()), max_pixels=1_000_000)
    assert refused.value.reason == "too large"
    assert open_picture(dng(sensor(), preview(160, 120)), max_pixels=1_000_000).width == 160


@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_what_is_cut_off_is_refused(kept: float) -> None:
    data = dng(sensor())
    cut = data[: int(kept * len(data))]
    with pytest.raises(PictureError) as refused:
        open_picture(cut)
    assert refused.value.reason in ("corrupt", "truncated", "unsupported")


@pytest.mark.parametrize("head", [b"FUJIFILMCCD-RAW 0201", b"IIRO", b"IIU\0", b"\0\0\0\x18ftypcrx "])
def test_a_head_alone_is_no_photo(head: bytes) -> None:
    with pytest.raises(PictureError) as refused:
        open_picture(head + bytes(4000))
    assert refused.value.reason == "corrupt"
    assert "raw photo that cannot be read" in refused.value.what


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "readable", lambda: False)
    with pytest.raises(PictureError, match="camera raw photo") as refused:
        open_picture(dng(sensor(), preview()))
    assert "isthmus[raw]" in (refused.value.todo or "")


def test_a_folder_of_raw_photos_is_indexed(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/one.dng").write_bytes(dng(sensor(), preview()))
    assert metadata_of((tmp_path / "p/one.dng").read_bytes(), name="one.dng").model == "Camera"
    with Library.write(tmp_path / "lib") as library:
        report = index(library, [tmp_path / "p"], ColourEmbedder(), quiet=True)
        assert (report.embedded, dict(report.unread)) == (1, {})
        assert library.query("SELECT width, height FROM photos") == [(1200, 900)]
        assert library.query("SELECT model FROM facts") == [("Camera",)]
