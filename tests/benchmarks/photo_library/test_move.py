"""Moving changes paths and nothing else."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.photo_library.make import PHOTOS
from benchmarks.photo_library.move import move
from benchmarks.photo_library.truth import Library, read

from isthmus.errors import InputError


def test_a_share_is_moved_and_the_truth_follows(made: Path, library: Library, tmp_path: Path) -> None:
    copy = tmp_path / "made"
    shutil.copytree(made, copy)
    after = move(copy, 0.4, 0)
    assert after == read(copy)
    moved = [photo for photo in after.photos if photo.moved_from]
    assert len(moved) == 24
    before = {photo.path: photo for photo in library.photos}
    for photo in moved:
        assert not (copy / photo.moved_from).exists()
        original = before[photo.moved_from]
        assert replace(photo, path=original.path, moved_from="", copy_of=original.copy_of) == original
    paths = {photo.path for photo in after.photos}
    assert len(paths) == 60
    assert all((copy / path).is_file() for path in paths)
    assert all(photo.copy_of in paths for photo in after.photos if photo.copy_of)
    assert _contents(copy) == _contents(made)


def test_sidecars_go_along(made: Path, library: Library, tmp_path: Path) -> None:
    copy = tmp_path / "made"
    shutil.copytree(made, copy)
    with_sidecar = {photo.path for photo in library.photos if photo.placed == "sidecar"}
    assert with_sidecar
    for photo in move(copy, 1, 0).photos:
        beside = (copy / photo.path).with_suffix(".xmp"), copy / f"{photo.path}.xmp"
        assert any(path.is_file() for path in beside) == (photo.moved_from in with_sidecar)


def test_a_share_beyond_all_is_refused(made: Path) -> None:
    with pytest.raises(InputError, match="cannot be moved"):
        move(made, 1.5, 0)


def _contents(folder: Path) -> list[str]:
    return sorted(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / PHOTOS).rglob("*") if path.is_file()
    )
