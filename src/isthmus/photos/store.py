"""Library: one SQLite file that is the truth about folders, files, photos and their vectors."""

import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from isthmus.errors import InputError, InUse
from isthmus.photos import clips, prints
from isthmus.photos.database import complain_if_damaged, damaged, in_words, open_for_reading, open_for_writing
from isthmus.photos.told import Told, write

FILE = "library.sqlite"

Vector = NDArray[np.float16]
"""[dim], unit length."""


@dataclass(frozen=True)
class Model:
    """An embedder as the library knows it. `generation` changes whenever one of its vectors does, `closer` whenever one
    of its regions' does."""

    id: int
    fingerprint: str
    name: str
    dim: int
    generation: int
    closer: int = 0


@dataclass(frozen=True)
class Known:
    """A file whose content is known. `vector` only where this content is new to the model; `told`: what it says;
    `print`: where the picture was decoded. `again`: its content was known before."""

    file: int
    hash: bytes
    size: int
    mtime_ns: int
    width: int
    height: int
    vector: Vector | None = None
    told: Told | None = None
    print: prints.Print | None = None
    again: bool = False


@dataclass(frozen=True)
class Unread:
    """A file that could not be read: a stable `reason`, one line of detail, its size and time where they are known.
    `live_id`: of a video, what it shares with the still of a live photo, or ""."""

    file: int
    size: int | None
    mtime_ns: int | None
    reason: str
    detail: str
    live_id: str | None = None


@dataclass(frozen=True)
class Vanished:
    """A file that was met by the walk and is no longer there."""

    file: int


Outcome = Known | Unread | Vanished


def locked(folder: Path) -> FileLock:
    """The lock of whoever writes to the library in `folder`, which is made. To be released, or used as a context.

    Raises InUse where another process holds it, InputError where the folder cannot hold a library.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A lock of the operating system: it goes with its process, however that ends.
        lock = FileLock(folder / "library.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise InUse(
            f"the photo library in {folder} is in use",
            why="another process is indexing it",
            todo="wait until it is done, or choose another --library",
        ) from None
    except OSError as error:
        raise InputError(
            f"{folder} cannot hold a photo library", why=str(error), todo="choose another --library"
        ) from None
    return lock


class Library:
    """A photo library in a folder, made by `Library.write` (one process at a time) or `Library.read` (any number).

    Close it, or use it as a context manager.
    """

    def __init__(self, folder: Path, database: sqlite3.Connection, lock: FileLock | None) -> None:
        self.folder = folder
        self.path = folder / FILE
        self._database = database
        self._lock = lock
        self._turn = Lock()

    @classmethod
    def write(cls, folder: Path) -> "Library":
        """The library in `folder`, made where there is none, for the one process that indexes.

        Raises InUse where another process indexes it, InputError where the folder cannot hold it, and CorruptLibrary.
        """
        folder = folder.absolute()
        lock = locked(folder)
        try:
            return cls(folder, open_for_writing(folder / FILE), lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def read(cls, folder: Path) -> "Library":
        """The library in `folder`, for queries, also while another process indexes it.

        Raises InputError where there is none, and CorruptLibrary.
        """
        folder = folder.absolute()
        return cls(folder, open_for_reading(folder / FILE), None)

    def close(self) -> None:
        self._database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Library":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def query(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a SELECT. Safe from any thread. Raises CorruptLibrary."""
        with in_words(self.path), self._turn:
            return self._database.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises CorruptLibrary, or IsthmusError where the disk is full."""
        with in_words(self.path), self._turn:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # a full disk has rolled back by itself
                    self._database.execute("ROLLBACK")
                raise

    def state(self) -> tuple[int, int]:
        """Another one after every change, whoever made it."""
        with in_words(self.path), self._turn:
            # The former counts what other connections committed, the latter what this one wrote.
            return self._database.execute("PRAGMA data_version").fetchone()[0], self._database.total_changes

    @property
    def id(self) -> str:
        """Random, given at birth."""
        return str(self.query("SELECT id FROM library")[0][0])

    def check(self) -> int:
        """Read all of it: every page and every vector against its checksum; the number of vectors.

        Raises CorruptLibrary.
        """
        with in_words(self.path), self._turn:
            complain_if_damaged(self._database, self.path)
            count = 0
            for row in self._database.execute(
                "SELECT v.id, v.vector, v.crc, m.dim FROM vectors v JOIN models m ON m.id = v.model"
            ):
                self._vector(*row)
                count += 1
            for row in self._database.execute(
                "SELECT r.id, r.vectors, r.crc, m.dim FROM regions r JOIN models m ON m.id = r.model"
            ):
                self._regions(*row)
        return count

    def copy_to(self, path: Path) -> None:
        """All of it as it is at one moment, into a new SQLite file. Raises CorruptLibrary."""
        copy = sqlite3.connect(path)
        try:
            with in_words(self.path), self._turn:
                self._database.backup(copy)
        finally:
            copy.close()

    # Models and vectors

    def register(self, fingerprint: str, name: str, dim: int, *, serves: bool = True) -> Model:
        """The model of that fingerprint, new or known. `serves`: it becomes the one the library is searched with."""
        with self.transaction() as database:
            database.execute(
                """INSERT INTO models (fingerprint, name, dim, used_at) VALUES (?, ?, ?, 0)
                ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name""",
                (fingerprint, name, dim),
            )
            if serves:
                # Never backwards: "last" must hold although the clock was set back.
                now = max(time.time_ns(), self._last_use(database) + 1)
                database.execute("UPDATE models SET used_at = ? WHERE fingerprint = ?", (now, fingerprint))
        found = self.model(fingerprint)
        assert found is not None
        if found.dim != dim:
            raise damaged(self.path, f"model {name} has {found.dim} numbers a vector there, and {dim} here")
        return found

    def models(self) -> list[Model]:
        """All models, the one that serves first, then those that did before it, the last one first."""
        rows = self.query("SELECT id, fingerprint, name, dim, generation, closer FROM models ORDER BY used_at DESC")
        return [Model(*row) for row in rows]

    def serving(self) -> Model | None:
        """The one searches use; None where there are no vectors."""
        return next((model for model in self.models() if model.generation > 0), None)

    def model(self, fingerprint: str) -> Model | None:
        return next((model for model in self.models() if model.fingerprint == fingerprint), None)

    def has_vector(self, hash: bytes, model: Model) -> tuple[int, int] | None:
        """(width, height) of the photo with that content if the model has seen it."""
        rows = self.query(
            """SELECT p.width, p.height FROM photos p JOIN vectors v ON v.photo = p.id
            WHERE p.hash = ? AND v.model = ?""",
            (hash, model.id),
        )
        return rows[0] if rows else None

    def printed(self) -> frozenset[bytes]:
        """The hashes of all photos that `has_print` is true of."""
        rows = self.query(
            "SELECT p.hash FROM photos p JOIN prints r ON r.photo = p.id WHERE r.version >= ?", (prints.VERSION,)
        )
        return frozenset(hash for (hash,) in rows)

    def has_print(self, hash: bytes) -> bool:
        """Whether the photo with that content has been looked at for its print."""
        return bool(
            self.query(
                "SELECT 1 FROM photos p JOIN prints r ON r.photo = p.id WHERE p.hash = ? AND r.version >= ?",
                (hash, prints.VERSION),
            )
        )

    def vectors(self, model: Model) -> Iterator[tuple[int, int, bytes]]:
        """(vector id, photo id, fp16 bytes) of all the model's vectors, in the order of ids. Raises CorruptLibrary."""
        with in_words(self.path), self._turn:
            for id, photo, vector, crc in self._database.execute(
                "SELECT id, photo, vector, crc FROM vectors WHERE model = ? ORDER BY id", (model.id,)
            ):
                yield id, photo, self._vector(id, vector, crc, model.dim)

    def regions(self, model: Model) -> Iterator[tuple[int, int, bytes]]:
        """(id, photo id, fp16 bytes of all its regions) in the order of ids. Raises CorruptLibrary."""
        with in_words(self.path), self._turn:
            for id, photo, vectors, crc in self._database.execute(
                "SELECT id, photo, vectors, crc FROM regions WHERE model = ? ORDER BY id", (model.id,)
            ):
                yield id, photo, self._regions(id, vectors, crc, model.dim)

    def save(self, outcomes: Sequence[Outcome], model: Model, reader: str) -> None:
        """Record what became of some files, in one transaction."""
        now = int(time.time())
        with self.transaction() as database:
            for outcome in outcomes:
                match outcome:
                    case Known():
                        self._save_known(database, outcome, model, now)
                    case Unread():
                        database.execute(
                            """UPDATE files SET photo = NULL, reason = ?, detail = ?, reader = ?,
                            size = coalesce(?, size), mtime_ns = coalesce(?, mtime_ns) WHERE id = ?""",
                            (outcome.reason, outcome.detail, reader, outcome.size, outcome.mtime_ns, outcome.file),
                        )
                        clips.write(database, outcome.file, outcome.live_id)
                    case Vanished():
                        database.execute("UPDATE files SET gone_at = ? WHERE id = ?", (now, outcome.file))

    def _save_known(self, database: sqlite3.Connection, known: Known, model: Model, now: int) -> None:
        database.execute(
            "INSERT OR IGNORE INTO photos (hash, width, height, added_at) VALUES (?, ?, ?, ?)",
            (known.hash, known.width, known.height, now),
        )
        photo = database.execute("SELECT id FROM photos WHERE hash = ?", (known.hash,)).fetchone()[0]
        if known.vector is not None:
            blob = known.vector.astype("<f2", copy=False).tobytes()
            database.execute(
                "INSERT OR IGNORE INTO vectors (photo, model, vector, crc) VALUES (?, ?, ?, ?)",
                (photo, model.id, blob, zlib.crc32(blob)),
            )
        database.execute(
            """UPDATE files SET photo = ?, size = ?, mtime_ns = ?, reason = NULL, detail = NULL, reader = NULL,
            gone_at = NULL WHERE id = ?""",
            (photo, known.size, known.mtime_ns, known.file),
        )
        clips.write(database, known.file, None)
        if known.told is not None:
            write(database, known.file, known.told)
        if known.print is not None:
            prints.write(database, photo, known.print)

    def _vector(self, id: int, vector: bytes, crc: int, dim: int) -> bytes:
        if not isinstance(vector, bytes) or len(vector) != 2 * dim or zlib.crc32(vector) != crc:
            raise damaged(self.path, f"vector {id} does not match its checksum")
        return vector

    def _regions(self, id: int, vectors: bytes, crc: int, dim: int) -> bytes:
        if not isinstance(vectors, bytes) or len(vectors) % (2 * dim) or zlib.crc32(vectors) != crc:
            raise damaged(self.path, f"the vectors of regions {id} do not match their checksum")
        return vectors

    def _last_use(self, database: sqlite3.Connection) -> int:
        return int(database.execute("SELECT coalesce(max(used_at), 0) FROM models").fetchone()[0])
