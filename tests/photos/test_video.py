"""Videos are found by a picture of theirs, by when and where they were taken, and are no copies of photos."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import pytest

from isthmus.errors import PictureError
from isthmus.images.sniff import HEAD
from isthmus.photos import swap, video
from isthmus.photos.duplicates import find_duplicates
from isthmus.photos.index import IndexReport, index
from isthmus.photos.metadata import metadata_of
from isthmus.photos.metadata.video import of_video
from isthmus.photos.pointed import PhotoPart, Pointed
from isthmus.photos.regions import look_closer
from isthmus.photos.search import search
from isthmus.photos.serve.originals import read_original
from isthmus.photos.serve.sent import original
from isthmus.photos.sheet import write_sheet
from isthmus.photos.store import Library

from .fakes import ColourEmbedder, paint
from .films import film, sound

pytest.importorskip("av", reason="pip install 'isthmus[video]'")

NOW = datetime(2024, 7, 17, 12)
PHONE = {
    "com.apple.quicktime.creationdate": "2019-07-04T12:30:05+0200",
    "com.apple.quicktime.location.ISO6709": "+48.8566+002.3522+035.0/",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone X",
    "creation_time": "2019-07-04T10:30:05Z",
}


def run(library: Path, folder: Path, **more: object) -> IndexReport:
    with Library.write(library) as store:
        return index(store, [folder], ColourEmbedder(), quiet=True, **more)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A red film of Paris, a blue one of no known time, and two photos."""
    film(tmp_path / "p/IMG_0001.MOV", tags=PHONE)
    film(tmp_path / "p/blue.mkv", colour=(30, 30, 220))
    paint(tmp_path / "p/2020-01-02 green.png", "green")
    paint(tmp_path / "p/yellow.png", "yellow")
    return tmp_path / "p"


@pytest.fixture
def library(tmp_path: Path, folder: Path) -> Iterator[Library]:
    report = run(tmp_path / "lib", folder)
    assert (report.embedded, dict(report.unread), report.left) == (4, {}, 0)
    with Library.read(tmp_path / "lib") as store:
        yield store


def test_the_picture_is_of_what_is_seen_and_not_of_the_black_before_it(folder: Path) -> None:
    for name, strong in (("IMG_0001.MOV", 0), ("blue.mkv", 2)):
        with (folder / name).open("rb") as file:
            assert video.is_one(file.read(HEAD))
            picture = video.look(file).picture
        assert (picture.width, picture.height) == (64, 48)
        assert picture.image.getpixel((50, 20))[strong] > 150


def test_pixels_that_are_no_squares_are_made_so(tmp_path: Path) -> None:
    with film(tmp_path / "wide.mp4", ratio=Fraction(2, 1)).open("rb") as file:
        assert video.look(file).picture.image.size == (128, 48)


def test_a_search_finds_videos_by_what_they_show_and_by_their_kind(library: Library) -> None:
    embedder = ColourEmbedder()
    best = search(library, embedder, "something red", 4, now=NOW).hits[0]
    assert (Path(best.path).name, best.width, best.height) == ("IMG_0001.MOV", 64, 48)
    assert best.taken == "2019-07-04T12:30:05"
    found = search(library, None, "videos", 9, now=NOW)
    assert {Path(hit.path).name for hit in found.hits} == {"IMG_0001.MOV", "blue.mkv"}
    for sentence in ("videos from Paris", "videos from July 2019", "2019年的视频", "videos taken with an iPhone"):
        assert [Path(hit.path).name for hit in search(library, None, sentence, now=NOW).hits] == ["IMG_0001.MOV"]
    assert [Path(hit.path).name for hit in search(library, None, "photos from 2020", now=NOW).hits] == [
        "2020-01-02 green.png"
    ]


def test_again_nothing_is_read_and_a_moved_one_keeps_its_vector(tmp_path: Path, folder: Path, library: Library) -> None:
    library.close()
    assert run(tmp_path / "lib", folder).embedded == 0
    (folder / "blue.mkv").rename(folder / "sea.mkv")
    shutil.copy(folder / "sea.mkv", folder / "copy.mkv")
    report = run(tmp_path / "lib", folder)
    assert (report.embedded, report.known, report.gone, dict(report.unread)) == (0, 2, 1, {})
    with Library.read(tmp_path / "lib") as store:
        assert store.query("SELECT count(*) FROM photos") == [(4,)]


def test_a_stopped_run_goes_on(tmp_path: Path, folder: Path) -> None:
    for at in range(5):
        film(folder / f"{at}.mp4", colour=(30, 200, 40 * at))
    seen = iter([False] * 12)
    report = run(tmp_path / "lib", folder, stop=lambda: next(seen, True), workers=1, batch=1)
    assert report.stopped
    assert report.left
    rest = run(tmp_path / "lib", folder)
    assert (report.embedded + rest.embedded, rest.left, dict(rest.unread)) == (9, 0, {})


def test_the_moving_half_of_a_live_photo_is_no_video_of_its_own(tmp_path: Path) -> None:
    paint(tmp_path / "p/IMG_7.png", "red")
    film(tmp_path / "p/IMG_7.MOV")
    report = run(tmp_path / "lib", tmp_path / "p")
    assert (report.embedded, dict(report.unread), report.left) == (1, {}, 0)
    with Library.read(tmp_path / "lib") as store:
        assert [hit.video is not None for hit in search(store, ColourEmbedder(), "red", 5).hits] == [True]


def test_without_the_package_they_are_listed_and_with_it_read(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(video, "readable", lambda: False)
        report = run(tmp_path / "lib", folder)
        assert (report.embedded, dict(report.unread), report.left) == (2, {"video": 2}, 0)
        with pytest.raises(PictureError, match="it is a video"), (folder / "blue.mkv").open("rb") as file:
            video.look(file)
    report = run(tmp_path / "lib", folder)
    assert (report.embedded, dict(report.unread), report.left) == (2, {}, 0)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.8])
def test_what_is_damaged_is_listed_once(tmp_path: Path, kept: float) -> None:
    data = film(tmp_path / "whole.mp4", frames=60).read_bytes()
    (tmp_path / "p").mkdir()
    (tmp_path / "p/cut.mp4").write_bytes(data[: int(kept * len(data))])
    report = run(tmp_path / "lib", tmp_path / "p")
    assert (report.embedded, sum(report.unread.values()), report.left) == (0, 1, 0)
    assert "video" not in report.unread
    assert run(tmp_path / "lib", tmp_path / "p").unread.total() == 0


def test_a_sound_has_no_picture(tmp_path: Path) -> None:
    with sound(tmp_path / "only.m4a").open("rb") as file, pytest.raises(PictureError, match="no picture"):
        video.look(file)


def test_all_that_reads_photos_reads_videos(tmp_path: Path, folder: Path, library: Library) -> None:
    library.close()
    other = ColourEmbedder(name="test/other", fingerprint="ff" * 32)
    with Library.write(tmp_path / "lib") as store:
        assert look_closer(store, ColourEmbedder(), quiet=True).done == 4
        done = swap.embed_all(store, other, quiet=True)
        assert (done.done, done.left) == (4, 0)
        hits = search(store, ColourEmbedder(), "red", 4).hits
        red = hits[0].photo
        assert PhotoPart(store, red).open_with_hash()[0].width == 64
        assert read_original(store, red)[:2] == b"BM"
        sent, headers = original(store, red)
        assert b"".join(sent) == (folder / "IMG_0001.MOV").read_bytes()
        assert headers["Content-Disposition"].startswith("attachment")
        assert headers["Content-Type"] == "application/octet-stream"
        assert write_sheet(hits, "red", tmp_path / "sheet.png") == []
    assert Pointed(folder / "IMG_0001.MOV").open_with_hash()[0].width == 64


def test_a_frame_is_no_copy_of_a_photo(tmp_path: Path, folder: Path) -> None:
    with (folder / "blue.mkv").open("rb") as file:
        frame = video.look(file).picture.image
    frame.save(folder / "frame.png")
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], ColourEmbedder(), quiet=True)
        assert not find_duplicates(store).groups


def test_what_is_no_video_is_none() -> None:
    for head in (b"", b"\xff\xd8\xff", b"\0\0\0\x18ftypheic" + bytes(40), b"hello"):
        assert not video.is_one(head)
    with pytest.raises(PictureError):
        video.look(BytesIO(b"\0\0\0\x18ftypmp42" + bytes(4000)))


@pytest.mark.parametrize(
    ("name", "tags", "taken", "precision", "offset"),
    [
        ("a.mov", PHONE, "2019-07-04T12:30:05", "second", 120),
        ("a.mp4", {"creation_time": "2019-07-04T22:30:05.000000Z"}, "2019-07-04T00:00:00", "day", None),
        ("VID_20190705_003005.mp4", {"creation_time": "2019-07-04T22:30:05Z"}, "2019-07-05T00:30:05", "second", None),
        ("a.mp4", {"creation_time": "1904-01-01T00:00:00Z"}, None, None, None),
        ("a.mp4", {"creation_time": "never"}, None, None, None),
        ("a.mkv", {"DATE": "2018-03"}, "2018-03-01T00:00:00", "month", None),
        ("a.avi", {}, None, None, None),
    ],
)
def test_when_a_video_was_taken(
    name: str, tags: dict[str, str], taken: str | None, precision: str | None, offset: int | None
) -> None:
    found = of_video(metadata_of(b"", name=name), tags, NOW)
    assert (found.taken and found.taken.isoformat(), found.precision, found.offset) == (taken, precision, offset)
    assert found.kinds == {"video"}


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("+48.8566+002.3522+035.0/", (48.8566, 2.3522, 35.0)),
        ("-33.8568+151.2153/", (-33.8568, 151.2153, None)),
        ("+00.0000+000.0000/", (None, None, None)),
        ("+95.0000+000.0000/", (None, None, None)),
        ("somewhere", (None, None, None)),
    ],
)
def test_where_a_video_was_taken(said: str, where: tuple[float | None, ...]) -> None:
    found = of_video(metadata_of(b""), {"location": said}, NOW)
    assert (found.latitude, found.longitude, found.altitude) == where
