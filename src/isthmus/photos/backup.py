"""A copy of the library as one file, made while it is in use, and put back: each proven sound before it counts."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from isthmus.errors import InputError
from isthmus.photos.database import open_for_writing
from isthmus.photos.store import FILE, Library, locked

LOGS = ("-wal", "-shm")
"""What SQLite keeps beside a database. Left beside another one they would be taken for its own."""


@dataclass(frozen=True)
class Restored:
    """`vectors` that were found whole; `aside`: where the library that stood there is now, None if none did."""

    vectors: int
    aside: Path | None


def back_up(library: Library, target: Path) -> int:
    """Writes the whole library to the one file `target`, in place of an older copy there; the number of its vectors.

    Others may index and search meanwhile: the copy is of one moment. It is read and checked before it takes its name.
    Raises InputError where the target cannot be written or is the library itself, CorruptLibrary.
    """
    if target.exists() and target.samefile(library.path):
        raise InputError(f"{target} is the library itself", todo="give another file")
    with _new_file(target) as temporary:
        library.copy_to(temporary)
        vectors = _sound(temporary)
        _make_last(temporary, target)
    return vectors


def restore(folder: Path, source: Path) -> Restored:
    """Makes the copy `source` the library in `folder`; what stood there is kept beside it, whatever its state.

    A copy of an older version is brought up to date. Raises InputError where another process indexes the library or
    there is no copy, CorruptLibrary where the copy is damaged; nothing is changed then.
    """
    if not source.is_file():
        raise InputError(f"there is no file {source}", todo="give what `isthmus photos backup` wrote")
    path = folder / FILE
    if path.exists() and path.samefile(source):
        raise InputError(f"{source} is the library itself", todo="give a copy of it")
    with locked(folder), _new_file(path) as temporary:
        shutil.copyfile(source, temporary)
        vectors = _sound(temporary)
        aside = _set_aside(path)
        _make_last(temporary, path)
    return Restored(vectors, aside)


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """A file of another name beside `target`, gone at the end unless it was renamed. Raises InputError."""
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=".library-")
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
    except OSError as error:
        raise InputError(
            f"cannot write {target}",
            why=error.strerror or str(error),
            todo="give a place with room that can be written",
        ) from None
    finally:
        for ending in ("", *LOGS) if temporary else ():
            Path(f"{temporary}{ending}").unlink(missing_ok=True)


def _sound(path: Path) -> int:
    """Reads all of it, brought up to date; the number of vectors. Leaves one file. Raises CorruptLibrary."""
    database = open_for_writing(path)
    try:
        with Library(path.parent, database, None) as copy:
            vectors = copy.check()
            copy.query("PRAGMA journal_mode = DELETE")
            return vectors
    except sqlite3.Error:
        database.close()
        raise


def _set_aside(path: Path) -> Path | None:
    """The database under another name, its logs too: a kill in between leaves it there, or here."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.stem}-before-{datetime.now():%Y%m%d-%H%M%S-%f}{path.suffix}")
    for ending in LOGS:
        log = Path(f"{path}{ending}")
        if log.exists():
            log.replace(f"{aside}{ending}")
    path.replace(aside)
    return aside


def _make_last(temporary: Path, path: Path) -> None:
    """The content reaches the disk before the name does."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
