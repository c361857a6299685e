"""Copies of the library: of one moment, sound, and put back without losing what stood there."""

import sqlite3
from pathlib import Path

import pytest

from isthmus.errors import CorruptLibrary, InputError
from isthmus.photos.backup import back_up, restore
from isthmus.photos.index import index
from isthmus.photos.search import search
from isthmus.photos.store import FILE, Library

from .fakes import ColourEmbedder, paint, rows, step_back
from .test_index import run


@pytest.fixture
def made(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> Path:
    run(tmp_path / "lib", folder, embedder=embedder)
    return tmp_path / "lib"


def test_a_copy_put_back_is_the_library_it_was(
    tmp_path: Path, made: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    before = rows(made)
    with Library.read(made) as library:
        assert back_up(library, tmp_path / "copy.sqlite") == 5
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.sqlite"], "one file, nothing beside it"
    paint(folder / "new.png", "black", seed=9)
    run(made, folder, embedder=embedder)
    assert rows(made) != before
    done = restore(made, tmp_path / "copy.sqlite")
    assert (rows(made), done.vectors) == (before, 5)
    with Library.read(made) as library:
        assert len(search(library, embedder, "black", 10).hits) == 5, "the matrix of before is not taken for this one's"
    assert run(made, folder, embedder=embedder).embedded == 1


def test_it_is_made_while_another_writes_and_is_of_one_moment(tmp_path: Path, made: Path) -> None:
    with Library.write(made) as writer, Library.read(made) as reader:
        with writer.transaction() as database:
            database.execute("DELETE FROM vectors")
            assert back_up(reader, tmp_path / "copy.sqlite") == 5
        assert back_up(reader, tmp_path / "copy.sqlite") == 0


def test_a_damaged_library_is_kept_aside_and_the_copy_serves(
    tmp_path: Path, made: Path, embedder: ColourEmbedder
) -> None:
    with Library.read(made) as library:
        back_up(library, tmp_path / "copy.sqlite")
    spoiled = b"spoiled" * 9000
    (made / FILE).write_bytes(spoiled)
    with pytest.raises(CorruptLibrary):
        Library.read(made)
    done = restore(made, tmp_path / "copy.sqlite")
    assert done.aside is not None and done.aside.read_bytes() == spoiled
    with Library.read(made) as library:
        assert library.check() == 5
        assert len(search(library, embedder, "red", 10).hits) == 5


def test_a_log_of_the_old_library_is_not_taken_for_the_new_ones(tmp_path: Path, made: Path) -> None:
    with Library.read(made) as library:
        back_up(library, tmp_path / "copy.sqlite")
    before = rows(made)
    open_still = sqlite3.connect(made / FILE)  # as a process that was killed leaves it: what it wrote is in the log
    open_still.execute("PRAGMA wal_autocheckpoint = 0")
    open_still.execute("DELETE FROM vectors")
    open_still.commit()
    assert (made / f"{FILE}-wal").stat().st_size > 0
    done = restore(made, tmp_path / "copy.sqlite")
    assert rows(made) == before
    assert done.aside is not None and Path(f"{done.aside}-wal").stat().st_size > 0
    open_still.close()


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_damaged_copy_changes_nothing(tmp_path: Path, made: Path, at: float) -> None:
    with Library.read(made) as library:
        back_up(library, tmp_path / "copy.sqlite")
    data = bytearray((tmp_path / "copy.sqlite").read_bytes())
    start = int(at * len(data))
    data[start : start + 8192] = bytes(8192)
    (tmp_path / "copy.sqlite").write_bytes(data)
    before = rows(made)
    with pytest.raises((CorruptLibrary, InputError)):
        restore(made, tmp_path / "copy.sqlite")
    assert rows(made) == before
    assert not list(made.glob(".library-*"))


def test_a_library_in_use_is_not_replaced(tmp_path: Path, made: Path) -> None:
    with Library.write(made) as library:
        back_up(library, tmp_path / "copy.sqlite")
        with pytest.raises(InputError, match="in use"):
            restore(made, tmp_path / "copy.sqlite")


def test_an_older_copy_is_brought_up_to_date(tmp_path: Path, made: Path) -> None:
    with Library.read(made) as library:
        back_up(library, tmp_path / "copy.sqlite")
    database = sqlite3.connect(tmp_path / "copy.sqlite")
    step_back(database, 1)
    database.close()
    assert restore(tmp_path / "other", tmp_path / "copy.sqlite").vectors == 5
    with Library.read(tmp_path / "other") as library:
        assert library.query("SELECT count(*) FROM facts") == [(0,)]


def test_what_cannot_be_done_is_said(tmp_path: Path, made: Path) -> None:
    with Library.read(made) as library:
        with pytest.raises(InputError, match="is the library itself"):
            back_up(library, made / FILE)
        with pytest.raises(InputError, match="cannot write"):
            back_up(library, tmp_path / "absent/copy.sqlite")
    with pytest.raises(InputError, match="there is no file"):
        restore(made, tmp_path / "absent.sqlite")
    with pytest.raises(InputError, match="is the library itself"):
        restore(made, made / FILE)
    (tmp_path / "words.sqlite").write_text("words, and no database at all, " * 9)
    with pytest.raises(CorruptLibrary):
        restore(made, tmp_path / "words.sqlite")


def test_a_copy_replaces_an_older_one_only_when_it_is_whole(
    tmp_path: Path, made: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    with Library.read(made) as library:
        back_up(library, tmp_path / "copy.sqlite")
    first = (tmp_path / "copy.sqlite").read_bytes()
    with Library.write(made) as library:
        index(library, [folder], embedder, quiet=True)
        with library.transaction() as database:
            database.execute("UPDATE vectors SET crc = crc + 1 WHERE id = 1")
        with pytest.raises(CorruptLibrary):
            back_up(library, tmp_path / "copy.sqlite")
    assert (tmp_path / "copy.sqlite").read_bytes() == first
