"""Opening the library's SQLite file: settings, what is refused, and SQLite's errors in the user's words."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.errors import CorruptLibrary, InputError, IsthmusError
from isthmus.photos.schema import APPLICATION_ID, MIGRATIONS, PAGE_SIZE, migrate, tables

MAGIC = b"SQLite format 3\x00"


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The database, made or migrated where needed. The caller holds the library's lock.

    Raises CorruptLibrary (nothing is written then) or InputError.
    """
    with in_words(path):
        _refuse_foreign(path)
        database = _connect(f"{path.as_uri()}?mode=rwc")
        try:
            database.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            _check(database, path)
            # Every page is read once before the first write: a damaged file is left as it was found.
            # (A third of a second for 100,000 photos, against hours of indexing.)
            complain_if_damaged(database, path)
            # WAL: searches go on while one process indexes. NORMAL: the log is synced at checkpoints, not at every
            # commit. A killed process loses nothing; a power cut can lose the last commits, never the file's
            # integrity, and what it lost is pictures the next run embeds again. FULL would sync at every batch
            # for no other gain.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA foreign_keys = ON")
            migrate(database)
        except BaseException:
            database.close()
            raise
        return database


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The database for queries only. Raises CorruptLibrary, or InputError where there is none or it is outdated."""
    with in_words(path):
        if not path.is_file():
            raise _none(path)
        _refuse_foreign(path)
        # A library on a read-only drive has nobody who writes, so SQLite needs no lock files beside it.
        frozen = not os.access(path.parent, os.W_OK) or not os.access(path, os.W_OK)
        database = _connect(path.as_uri() + ("?immutable=1" if frozen else "?mode=rw"))
        try:
            database.execute("PRAGMA query_only = ON")
            _check(database, path)
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:  # a first run was cut short before it made the tables
                raise _none(path)
            if version < len(MIGRATIONS):
                raise InputError(
                    f"the photo library in {path.parent} is of an older version",
                    todo="bring it up to date with: isthmus photos index FOLDER",
                )
        except BaseException:
            database.close()
            raise
        return database


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the library's."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # The low byte is the primary code; the rest says where inside SQLite.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged(path, str(error)) from error
        if code == sqlite3.SQLITE_FULL:
            raise IsthmusError(
                "the disk is full", why=str(path.parent), todo="free some room; what was indexed so far is kept"
            ) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise IsthmusError(
                f"the photo library in {path.parent} is busy", todo="wait for the other process"
            ) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
            raise InputError(
                f"the photo library {path} cannot be used", why=str(error), todo="check the disk and its permissions"
            ) from error
        raise


def damaged(path: Path, why: str) -> CorruptLibrary:
    """The one way to say that a library cannot be trusted."""
    return CorruptLibrary(
        f"the photo library {path} is damaged",
        why=why,
        todo="nothing was changed; put back a copy, or move it away and index again",
    )


def complain_if_damaged(database: sqlite3.Connection, path: Path) -> None:
    """Read every page. Raises CorruptLibrary with SQLite's first complaint."""
    verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise damaged(path, str(verdict))


def _none(path: Path) -> InputError:
    return InputError(f"there is no photo library in {path.parent}", todo="make one with: isthmus photos index FOLDER")


def _connect(uri: str) -> sqlite3.Connection:
    # Transactions are begun by hand; several threads read through one connection under a lock of ours.
    return sqlite3.connect(uri, uri=True, timeout=30.0, isolation_level=None, check_same_thread=False)


def _refuse_foreign(path: Path) -> None:
    """SQLite itself is not asked about a file that is none: it would put its lock files beside it."""
    if not path.exists():
        return
    if not path.is_file():
        raise InputError(f"{path} is not a file", todo="choose another --library")
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head and head != MAGIC:
        raise damaged(path, "it is not an SQLite database")


def _check(database: sqlite3.Connection, path: Path) -> None:
    there = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    version = database.execute("PRAGMA user_version").fetchone()[0]
    application = database.execute("PRAGMA application_id").fetchone()[0]
    if not there and version == 0 and application == 0:
        return  # new: nothing in it yet
    if application != APPLICATION_ID:
        raise damaged(path, "it is an SQLite database but not a photo library")
    if version > len(MIGRATIONS):
        raise CorruptLibrary(
            f"the photo library {path} is of version {version}",
            why=f"this Isthmus knows versions up to {len(MIGRATIONS)}",
            todo="update Isthmus; nothing was changed",
        )
    if missing := tables(max(version, 1)) - there:
        raise damaged(path, f"tables are missing: {', '.join(sorted(missing))}")
