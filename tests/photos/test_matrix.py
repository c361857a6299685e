"""The matrix on disk: equal to the library, renewed when it is not, never trusted when damaged."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.photos.index import index
from isthmus.photos.matrix import HEADER, load_matrix, matrix_path
from isthmus.photos.store import Library, Model

from .fakes import ColourEmbedder, paint


@pytest.fixture
def library(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
        yield store


def of(library: Library) -> Model:
    return library.models()[0]


def assert_equal_to_the_library(library: Library) -> None:
    matrix = load_matrix(library, of(library))
    stored = list(library.vectors(of(library)))
    assert matrix.photos.tolist() == [photo for _, photo, _ in stored]
    assert matrix.vectors.tobytes() == b"".join(vector for _, _, vector in stored)


def test_it_holds_the_library_and_is_written_once(library: Library) -> None:
    assert_equal_to_the_library(library)
    path = matrix_path(library, of(library))
    written = path.stat().st_mtime_ns, path.stat().st_ino
    assert load_matrix(library, of(library)).on_disk
    assert_equal_to_the_library(library)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == written


def test_it_follows_the_library(library: Library, folder: Path, embedder: ColourEmbedder) -> None:
    before = load_matrix(library, of(library))
    kept = before.vectors.copy()
    paint(folder / "new.png", "black", seed=9)
    index(library, [folder], embedder, quiet=True)
    assert_equal_to_the_library(library)
    assert len(load_matrix(library, of(library)).photos) == 6
    with library.transaction() as database:
        database.execute("DELETE FROM vectors WHERE id = 2")
    assert_equal_to_the_library(library)
    assert np.array_equal(before.vectors, kept)  # who holds the old one keeps it whole


def test_a_library_put_back_from_a_copy_is_not_taken_for_the_later_one(
    library: Library, folder: Path, embedder: ColourEmbedder
) -> None:
    copy = library.path.parent.parent / "copy"
    library.query("PRAGMA wal_checkpoint(TRUNCATE)")
    copy.write_bytes(library.path.read_bytes())
    paint(folder / "new.png", "black", seed=1)
    index(library, [folder], embedder, quiet=True)
    load_matrix(library, of(library))
    place = library.folder
    library.close()
    copy.replace(place / "library.sqlite")
    paint(folder / "new.png", "red", seed=2)
    with Library.write(place) as restored:
        index(restored, [folder], embedder, quiet=True)  # as many vectors, under the same ids, but another one
        assert_equal_to_the_library(restored)


@pytest.mark.parametrize("damage", ["empty", "cut", "longer", "header", "zeros", "folder"])
def test_a_damaged_file_is_made_again(library: Library, damage: str) -> None:
    load_matrix(library, of(library))
    path = matrix_path(library, of(library))
    data = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(data[:-8])
        case "longer":
            path.write_bytes(data + bytes(8))
        case "header":
            path.write_bytes(b"{" + data[:-1])
        case "zeros":
            path.write_bytes(data[:HEADER] + bytes(len(data) - HEADER))
        case "folder":
            path.mkdir()
    assert_equal_to_the_library(library)


@settings(max_examples=40)
@given(data=st.data())
def test_any_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    base = tmp_path_factory.mktemp("flip")
    paint(base / "p/a.png", "red")
    with Library.write(base / "lib") as library:
        index(library, [base / "p"], ColourEmbedder(), quiet=True)
        assert_equal_to_the_library(library)
        path = matrix_path(library, of(library))
        whole = bytearray(path.read_bytes())
        at = data.draw(st.integers(HEADER, len(whole) - 1))
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(whole)
        assert_equal_to_the_library(library)


def test_a_failed_write_leaves_nothing_behind(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "fsync", fail)
    matrix = load_matrix(library, of(library))
    assert not matrix.on_disk
    assert len(matrix.photos) == 5
    assert {path.suffix for path in library.folder.iterdir()} <= {".sqlite", ".lock", ".sqlite-wal", ".sqlite-shm"}


def test_a_model_without_vectors_has_an_empty_matrix(library: Library) -> None:
    empty = library.register("ab" * 32, "test/empty", 12)
    assert load_matrix(library, empty).vectors.shape == (0, 12)
