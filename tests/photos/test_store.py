"""The library file: versions, locks, damage. Nothing damaged is ever written to."""

import os
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import CorruptLibrary, InputError, IsthmusError
from isthmus.photos import schema
from isthmus.photos.index import index
from isthmus.photos.search import search
from isthmus.photos.store import FILE, Library

from .fakes import ColourEmbedder, rows


@pytest.fixture
def made(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> Path:
    """A library with five photos."""
    with Library.write(tmp_path / "lib") as library:
        index(library, [folder], embedder, quiet=True)
    return tmp_path / "lib"


def use(library: Path, embedder: ColourEmbedder) -> None:
    """Everything that reads: raises CorruptLibrary where something is wrong."""
    with Library.read(library) as store:
        store.check()
        assert len(search(store, embedder, "red", 10).hits) == 5
    with Library.write(library):
        pass


def test_a_library_is_one_sqlite_file_in_wal_mode_with_a_version(made: Path) -> None:
    database = sqlite3.connect(made / FILE)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert database.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
    assert database.execute("PRAGMA page_size").fetchone() == (schema.PAGE_SIZE,)
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


def test_vectors_are_kept_as_fp16_under_content_and_model(made: Path, embedder: ColourEmbedder) -> None:
    found = rows(made)["vectors"]
    assert len(found) == 5
    for fingerprint, hash, width, height, blob in found:
        assert (fingerprint, len(hash), width, height) == (embedder.fingerprint, 32, 64, 48)
        assert np.linalg.norm(np.frombuffer(blob, "<f2").astype(np.float32)) == pytest.approx(1, abs=2e-3)


def test_a_second_writer_is_refused_in_one_line_and_readers_are_not(made: Path, embedder: ColourEmbedder) -> None:
    with Library.write(made):
        code = f"from pathlib import Path; from isthmus.photos.store import Library; Library.write(Path({str(made)!r}))"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "is in use: another process is indexing it" in other.stderr.splitlines()[-1]
        with Library.read(made) as reader:
            assert len(search(reader, embedder, "red", 10).hits) == 5
    with Library.write(made):
        pass


def test_a_reader_sees_whole_transactions_while_another_writes(made: Path) -> None:
    with Library.write(made) as writer, Library.read(made) as reader:
        with writer.transaction() as database:
            database.execute("DELETE FROM vectors")
            assert reader.query("SELECT count(*) FROM vectors") == [(5,)]
        assert reader.query("SELECT count(*) FROM vectors") == [(0,)]


def test_a_failed_transaction_leaves_nothing(made: Path) -> None:
    before = rows(made)
    with Library.write(made) as library:
        with pytest.raises(ZeroDivisionError), library.transaction() as database:
            database.execute("DELETE FROM vectors")
            raise ZeroDivisionError
        assert rows(made) == before


@pytest.mark.parametrize("table", ["vectors", "models"])
def test_the_generation_moves_with_every_change_of_a_vector(made: Path, table: str) -> None:
    with Library.write(made) as library:
        before = library.models()[0].generation
        with library.transaction() as database:
            if table == "vectors":
                database.execute("UPDATE vectors SET crc = crc WHERE id = 1")
                database.execute("DELETE FROM vectors WHERE id = 2")
        assert library.models()[0].generation == before + (2 if table == "vectors" else 0)


def test_migrations_run_in_order_and_all_or_nothing(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    first = ("CREATE TABLE a (x)",)
    schema.migrate(database, (first,))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(database, (first, ("ALTER TABLE a ADD COLUMN y", "not SQL")))
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    assert [row[1] for row in database.execute("PRAGMA table_info(a)")] == ["x"]
    schema.migrate(database, (first, ("ALTER TABLE a ADD COLUMN y",), ("CREATE TABLE b (x)",)))
    assert database.execute("PRAGMA user_version").fetchone() == (3,)
    assert [row[1] for row in database.execute("PRAGMA table_info(a)")] == ["x", "y"]


# Damage


def damage(library: Path, kind: str) -> None:
    path = library / FILE
    data = path.read_bytes()
    page = schema.PAGE_SIZE
    random = np.random.default_rng(0).bytes
    match kind:
        case "random bytes":
            path.write_bytes(random(len(data)))
        case "words":
            path.write_bytes(b"this is not a database")
        case "cut in the middle":
            path.write_bytes(data[: len(data) // 2])
        case "cut inside the first page":
            path.write_bytes(data[:3000])
        case "cut inside the header":
            path.write_bytes(data[:40])
        case "cut by one page":
            path.write_bytes(data[:-page])
        case "first page after the header":
            path.write_bytes(data[:100] + random(page - 100) + data[page:])
        case "another program's database":
            path.unlink()
            other = sqlite3.connect(path)
            other.execute("CREATE TABLE theirs (x)")
            other.close()
        case "a newer version" | "no tables":
            other = sqlite3.connect(path)
            if kind == "no tables":
                other.execute("DROP TABLE vectors")
            else:
                other.execute("PRAGMA user_version = 999")
            other.commit()
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            other.close()
        case "a flipped bit in a vector":
            at = data.index(rows(library)["vectors"][0][-1])
            path.write_bytes(data[: at + 7] + bytes([data[at + 7] ^ 4]) + data[at + 8 :])


KINDS = (
    "random bytes", "words", "cut in the middle", "cut inside the first page", "cut inside the header",
    "cut by one page", "first page after the header", "another program's database", "a newer version", "no tables",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_library_is_refused_and_left_as_it_is(made: Path, kind: str) -> None:
    damage(made, kind)
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    for attempt in (Library.write, Library.read):
        with pytest.raises(CorruptLibrary) as error:
            attempt(made)
        assert "\n" not in str(error.value)
        assert str(made / FILE) in str(error.value)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_each_damaged_page_is_noticed_or_harmless(made: Path, embedder: ColourEmbedder) -> None:
    path = made / FILE
    whole, truth = path.read_bytes(), rows(made)
    noticed = refused = 0
    for page in range(len(whole) // schema.PAGE_SIZE):
        at = page * schema.PAGE_SIZE + (100 if page == 0 else 0)
        spoiled = whole[:at] + os.urandom(schema.PAGE_SIZE - at % schema.PAGE_SIZE)
        path.write_bytes(spoiled + whole[len(spoiled) :])
        try:
            Library.write(made).close()
        except CorruptLibrary:
            refused += 1
        try:
            use(made, embedder)
        except CorruptLibrary:
            noticed += 1
        else:
            assert rows(made) == truth  # a page that holds nothing
    assert noticed == refused >= 0.8 * len(whole) / schema.PAGE_SIZE


def test_a_flipped_bit_in_a_vector_is_noticed(made: Path, embedder: ColourEmbedder) -> None:
    damage(made, "a flipped bit in a vector")
    with Library.read(made) as library:
        with pytest.raises(CorruptLibrary, match="checksum"):
            library.check()
        with pytest.raises(CorruptLibrary, match="checksum"):
            search(library, embedder, "red")


def test_a_checksum_is_of_the_vector(made: Path) -> None:
    with Library.read(made) as library:
        for vector, crc in library.query("SELECT vector, crc FROM vectors"):
            assert zlib.crc32(vector) == crc


def test_no_library_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="isthmus photos index"):
        Library.read(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_file_in_the_way_of_the_library_is_said(tmp_path: Path) -> None:
    (tmp_path / "lib").write_text("x")
    with pytest.raises(InputError, match="cannot hold a photo library"):
        Library.write(tmp_path / "lib")


def test_a_full_disk_loses_nothing_that_was_saved(made: Path, embedder: ColourEmbedder) -> None:
    before = rows(made)
    with Library.write(made) as library:
        library.query("PRAGMA max_page_count = 1")  # no page can be added: SQLite then says that the disk is full
        with pytest.raises(IsthmusError, match="disk is full"), library.transaction() as database:
            for at in range(1000):
                database.execute("INSERT INTO roots (path) VALUES (?)", (b"x" * 4000 + str(at).encode(),))
    assert rows(made) == before
    use(made, embedder)
