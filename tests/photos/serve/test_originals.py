"""Which files are opened: those that were indexed, where they were indexed, as they were indexed."""

import os
import shutil
from pathlib import Path

import pytest

from isthmus.photos.serve.originals import files_of, open_beneath, read_original
from isthmus.photos.store import Library


def photo_of(library: Library, ending: str) -> int:
    rows = library.query("SELECT photo, path FROM files WHERE photo IS NOT NULL")
    return next(photo for photo, path in rows if os.fsdecode(path).endswith(ending))


def test_the_bytes_are_the_file_s(library: Library, photos: Path) -> None:
    path = photos / "a/2019-07-04 red.png"
    assert read_original(library, photo_of(library, "red.png")) == path.read_bytes()


def test_an_unknown_photo_has_no_file(library: Library) -> None:
    assert files_of(library, 999) == []
    assert read_original(library, 999) is None


def test_a_link_that_took_a_file_s_place_leads_nowhere(library: Library, photos: Path, tmp_path: Path) -> None:
    path = photos / "a/2019-07-04 red.png"
    outside = tmp_path / "outside.png"
    shutil.copy2(path, outside)  # the same bytes, size and time: only where it lies is wrong
    path.unlink()
    path.symlink_to(outside)
    assert read_original(library, photo_of(library, "red.png")) is None


def test_a_link_within_the_folder_is_followed(library: Library, photos: Path) -> None:
    path = photos / "a/2019-07-04 red.png"
    moved = photos / "b/elsewhere.png"
    path.rename(moved)
    path.symlink_to(moved)
    assert read_original(library, photo_of(library, "red.png")) == moved.read_bytes()


def test_a_folder_that_became_a_link_is_not_entered(library: Library, photos: Path, tmp_path: Path) -> None:
    shutil.move(photos / "a", tmp_path / "outside")
    (photos / "a").symlink_to(tmp_path / "outside")
    assert read_original(library, photo_of(library, "red.png")) is None


def test_other_content_of_that_name_is_not_the_photo(library: Library, photos: Path) -> None:
    path = photos / "a/2019-07-04 red.png"
    status, length = path.stat(), len(path.read_bytes())
    path.write_bytes(b"secret".ljust(length))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert read_original(library, photo_of(library, "red.png")) is None
    path.write_bytes(b"longer".ljust(length + 1))
    assert read_original(library, photo_of(library, "red.png")) is None


def test_a_touched_file_is_still_the_photo(library: Library, photos: Path) -> None:
    path = photos / "a/2019-07-04 red.png"
    path.touch()
    assert read_original(library, photo_of(library, "red.png")) == path.read_bytes()


def test_a_copy_stands_in_for_one_that_is_away(library: Library, photos: Path, tmp_path: Path) -> None:
    from .conftest import fill

    shutil.copy(photos / "a/2019-07-04 red.png", photos / "copy.png")
    fill(tmp_path / "lib", photos)
    (photos / "a/2019-07-04 red.png").unlink()
    photo = photo_of(library, "copy.png")
    assert [file.there for file in files_of(library, photo)] == [False, True]
    assert read_original(library, photo) == (photos / "copy.png").read_bytes()


def test_a_file_marked_gone_is_not_opened_though_it_came_back(library: Library, photos: Path, tmp_path: Path) -> None:
    from .conftest import fill

    path = photos / "a/2019-07-04 red.png"
    photo = photo_of(library, "red.png")
    path.rename(tmp_path / "aside.png")
    fill(tmp_path / "lib", photos)
    (tmp_path / "aside.png").rename(path)
    assert read_original(library, photo) is None


def test_a_pipe_in_a_file_s_place_does_not_hold_anyone(library: Library, photos: Path) -> None:
    path = photos / "a/2019-07-04 red.png"
    path.unlink()
    os.mkfifo(path)
    assert read_original(library, photo_of(library, "red.png")) is None


@pytest.mark.parametrize(
    "inner", [b"../out.txt", b"a/../../out.txt", b"/etc/passwd", b"", b".", b"a//red", b"./a", b"a/.."]
)
def test_no_path_leads_out_of_the_folder(tmp_path: Path, inner: bytes) -> None:
    (tmp_path / "root/a").mkdir(parents=True)
    (tmp_path / "out.txt").write_text("out")
    with pytest.raises(OSError):
        open_beneath(os.fsencode(tmp_path / "root"), inner)
