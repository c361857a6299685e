"""What was read of a picture is used again for that picture alone, however another one is made to look like it."""

import os
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.backends.backend import Options, complete
from isthmus.backends.native import NativeBackend
from isthmus.images.fits import Letterbox, Squash
from isthmus.images.open import picture_of
from isthmus.messages import user
from isthmus.vlm.llava import load_llava
from isthmus.vlm.pictures import content_key
from tests.backends.tiny_native import save_native_llava

FEW = Options(max_tokens=8)
GREY = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)


def png(image: Image.Image, **settings: object) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", **settings)
    return stream.getvalue()


def jpeg(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = BytesIO()
    Image.fromarray(GREY).convert("RGB").save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


def with_palette(seed: int) -> bytes:
    image = Image.fromarray(GREY, "P")
    image.putpalette(np.random.default_rng(seed).integers(0, 256, 768, dtype=np.uint8).tobytes())
    return png(image)


def one_pixel_off() -> bytes:
    changed = GREY.copy()
    changed[20, 30] ^= 128
    return png(Image.fromarray(changed))


TWINS: dict[str, tuple[bytes, bytes]] = {
    "another palette, the same indices": (with_palette(1), with_palette(2)),
    "turned by its EXIF, the same pixels in the file": (jpeg(1), jpeg(6)),
    "the same bytes in another shape": (png(Image.fromarray(GREY)), png(Image.fromarray(GREY.reshape(60, 40)))),
    "one pixel": (png(Image.fromarray(GREY)), one_pixel_off()),
    "grey, and the same bytes as colours": (
        png(Image.fromarray(GREY)),
        png(Image.fromarray(GREY.reshape(20, 40, 3), "RGB")),
    ),
    "see-through where the other is black": (
        png(Image.fromarray(GREY)),
        png(Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(255 - GREY)))),
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_native_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def fresh(folder: str) -> Callable[[object], str]:
    """What is said about a picture by a backend that has seen no other."""
    backend = NativeBackend(load_llava(folder))

    def ask(source: object) -> str:
        backend.forget()
        return complete(backend, [user(source, "what is it?")], FEW).text

    return ask


@pytest.mark.parametrize("name", TWINS)
def test_twins_are_not_taken_for_each_other(name: str, folder: str, fresh: Callable[[object], str]) -> None:
    one, other = TWINS[name]
    backend = NativeBackend(load_llava(folder))
    assert [complete(backend, [user(each, "what is it?")], FEW).text for each in (one, other, one)] == [
        fresh(one),
        fresh(other),
        fresh(one),
    ]
    keys = {content_key(picture_of(each), backend.model.encoder.fit) for each in (one, other)}
    assert len(keys) == 2


def test_the_same_path_with_new_bytes_is_a_new_picture(
    folder: str, fresh: Callable[[object], str], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    backend = NativeBackend(load_llava(folder))
    said = []
    for data in (TWINS["one pixel"][0], with_palette(3)):
        path.write_bytes(data)
        os.utime(path, (1, 1))  # its age does not tell
        said.append(complete(backend, [user(path, "what is it?")], FEW).text)
        assert said[-1] == fresh(data)


def test_a_copy_under_another_name_is_known(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = NativeBackend(load_llava(folder))
    encoded, encode = list[int](), backend.model.encoder.encode
    monkeypatch.setattr(backend.model.encoder, "encode", lambda views: encoded.append(1) or encode(views))
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(with_palette(4))
        complete(backend, [user(tmp_path / name, f"what is {name}?")], FEW)
    assert len(encoded) == 1


def test_another_fit_is_another_key() -> None:
    picture = picture_of(with_palette(5))
    fit = Squash(32)
    keys = {content_key(picture, each) for each in (fit, replace(fit, size=40), Letterbox(32))}
    assert len(keys) == 3
