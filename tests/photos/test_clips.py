"""Live photos: a still and its video are one photo, by content identifier or by name."""

import json
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from isthmus.photos.report import coverage, unread_files
from isthmus.photos.search import search
from isthmus.photos.store import FILE, Library

from .fakes import ColourEmbedder, before_prints, paint
from .metadata.samples import MAKE, MAKER_NOTE, apple_note, exif, movie
from .test_cli import Run, cheap_models, run  # noqa: F401 - fixtures
from .test_index import run as index_run


@pytest.fixture(autouse=True)
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The videos here show nothing: `test_video` has some that do."""
    monkeypatch.setattr("isthmus.photos.video.readable", lambda: False)


def still(path: Path, identifier: str = "", colour: str = "red", seed: int = 0) -> Path:
    paint(path, colour, seed=seed)
    if identifier:
        with Image.open(path) as picture:
            picture.load()
        picture.save(path, exif=exif({MAKE: "Apple"}, {MAKER_NOTE: apple_note(identifier)}))
    return path


def video(path: Path, identifier: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(movie(identifier))
    return path


def pairs(library: Path) -> dict[str, str | None]:
    """Name of each video that is there -> name of its still."""
    with Library.read(library) as store:
        found = store.query(
            """SELECT v.path, (SELECT min(s.path) FROM files s WHERE s.photo = c.still AND s.gone_at IS NULL)
            FROM clips c JOIN files v ON v.id = c.file WHERE v.gone_at IS NULL ORDER BY 1"""
        )
    return {name.decode(): of.decode() if of else None for name, of in found}


@pytest.mark.parametrize(
    ("photo", "photo_id", "clip", "clip_id", "paired"),
    [
        ("IMG_1.jpg", "", "IMG_1.MOV", "", True),
        ("IMG_1.jpg", "", "img_1.mp4", "", True),
        ("IMG_1.jpg", "0D1F0A6E-A", "IMG_1.MOV", "", True),
        ("IMG_1.jpg", "0D1F0A6E-A", "IMG_1.MOV", "0D1F0A6E-A", True),
        ("IMG_1.jpg", "0D1F0A6E-a1", "elsewhere/IMG_E77.MOV", "0D1F0A6E-A1", True),
        ("IMG_1.jpg", "0D1F0A6E-A", "IMG_1.MOV", "0D1F0A6E-B", False),
        ("IMG_1.jpg", "", "IMG_2.MOV", "", False),
        ("IMG_1.jpg", "", "elsewhere/IMG_1.MOV", "", False),
        ("IMG_1.jpg", "", "IMG_1.avi", "", False),
    ],
)
def test_what_belongs_together(
    tmp_path: Path, embedder: ColourEmbedder, photo: str, photo_id: str, clip: str, clip_id: str, paired: bool
) -> None:
    still(tmp_path / "p" / photo, photo_id)
    video(tmp_path / "p" / clip, clip_id)
    report = index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert pairs(tmp_path / "lib") == {clip: photo if paired else None}
    assert dict(report.unread) == ({} if paired else {"video": 1})
    with Library.read(tmp_path / "lib") as store:
        found = coverage(store)
        assert (found.known, found.moving, found.unread, found.met) == (1, int(paired), dict(report.unread), 2)
        assert [file.reason for file in unread_files(store)] == list(found.unread)
        (hit,) = search(store, embedder, "red").hits
        assert hit.video == (str(tmp_path / "p" / clip) if paired else None)


def test_the_identifier_counts_before_the_name(tmp_path: Path, embedder: ColourEmbedder) -> None:
    still(tmp_path / "p/a.jpg", "0D1F0A6E-A", "red", seed=1)
    still(tmp_path / "p/b.jpg", "0D1F0A6E-B", "blue", seed=2)
    video(tmp_path / "p/a.mov", "0D1F0A6E-B")
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert pairs(tmp_path / "lib") == {"a.mov": "b.jpg"}


def test_halves_that_come_and_go_are_followed(tmp_path: Path, embedder: ColourEmbedder) -> None:
    clip = video(tmp_path / "p/IMG_1.MOV")
    assert dict(index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).unread) == {"video": 1}
    photo = still(tmp_path / "p/IMG_1.jpg")
    assert index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).embedded == 1
    assert pairs(tmp_path / "lib") == {"IMG_1.MOV": "IMG_1.jpg"}
    clip.rename(tmp_path / "p/away.MOV")
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert pairs(tmp_path / "lib") == {"away.MOV": None}
    with Library.read(tmp_path / "lib") as store:
        assert search(store, embedder, "red").hits[0].video is None
    (tmp_path / "p/away.MOV").rename(clip)
    photo.unlink()
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert pairs(tmp_path / "lib") == {"IMG_1.MOV": None}
    paint(clip.with_suffix(".png"), "blue").replace(clip)  # a photo now, by whatever name
    assert index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).embedded == 1
    assert pairs(tmp_path / "lib") == {}


def test_a_photo_named_as_a_video_is_no_video(tmp_path: Path, embedder: ColourEmbedder) -> None:
    still(tmp_path / "p/IMG_1.jpg")
    (tmp_path / "p/IMG_1.MOV").write_bytes(b"these are words")
    assert dict(index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder).unread) == {"not a picture": 1}


def test_an_older_library_learns_which_of_its_unread_files_are_videos(tmp_path: Path, embedder: ColourEmbedder) -> None:
    still(tmp_path / "p/IMG_1.jpg")
    video(tmp_path / "p/IMG_1.MOV")
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    database = sqlite3.connect(tmp_path / "lib" / FILE)
    with database:
        database.execute("UPDATE files SET reason = 'not a picture' WHERE reason = 'video'")
    database.close()
    before_prints(tmp_path / "lib" / FILE)
    index_run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert pairs(tmp_path / "lib") == {"IMG_1.MOV": "IMG_1.jpg"}


def test_the_commands_say_so(run: Run, tmp_path: Path) -> None:  # noqa: F811
    still(tmp_path / "p/IMG_1.jpg")
    video(tmp_path / "p/IMG_1.MOV")
    library = ("--library", tmp_path / "lib")
    code, out, _ = run("index", tmp_path / "p", "--json", *library)
    assert (code, json.loads(out)["run"]["unread"]) == (0, {})
    assert "1 photos in 1 files, 1 videos of live photos" in run("status", *library)[1]
    assert run("search", "red", *library)[1].endswith("IMG_1.jpg  64x48  (live)\n")
    hit = json.loads(run("search", "red", "--json", *library)[1])["results"][0]
    assert hit["video"] == str(tmp_path / "p/IMG_1.MOV")
