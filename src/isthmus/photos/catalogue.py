"""What lies where: folders become roots, a walk is compared with what is known, and the rest waits to be read."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from isthmus.photos import paths, prints
from isthmus.photos.clips import VIDEO
from isthmus.photos.metadata import sidecars_for
from isthmus.photos.store import Library, Model
from isthmus.photos.told import VERSION, stamp
from isthmus.photos.walk import NOT_A_FILE, SIDECAR, Entry

MOMENTARY = ("unreadable", "changing")
"""Reasons that lie in the moment, not in the file: every run tries again."""

TOGETHER = 1000
"""Entries of a walk per transaction."""


@dataclass(frozen=True)
class Place:
    """A folder as the library sees it: a root, or (with a `prefix`) a part of one."""

    root: int
    path: bytes
    prefix: bytes

    @property
    def whole(self) -> bytes:
        """The folder itself."""
        return paths.join(self.path, self.prefix) if self.prefix else self.path

    @property
    def start(self) -> bytes:
        """What the relative paths of its files start with."""
        return paths.start(self.prefix)


@dataclass(frozen=True)
class Pending:
    """A file that waits to be read; `path` is whole. `again`: its content is known; what it says, or its print, is
    not."""

    id: int
    path: bytes
    again: bool = False


def place(library: Library, folder: Path) -> Place:
    """Where `folder` belongs. A folder inside a root is a part of it; one around known roots takes them in.

    So no file is ever listed twice, in whatever order folders are named.
    """
    path = paths.real(folder)
    with library.transaction() as database:
        roots: list[tuple[int, bytes]] = database.execute("SELECT id, path FROM roots ORDER BY id").fetchall()
        for id, root in roots:
            if path == root or path.startswith(paths.start(root)):
                return Place(id, root, path[len(paths.start(root)) :])
        new = database.execute("INSERT INTO roots (path) VALUES (?)", (path,)).lastrowid
        assert new is not None
        for id, root in roots:
            if root.startswith(paths.start(path)):
                _take_in(database, id, root[len(paths.start(path)) :], new)
        return Place(new, path, b"")


def record_walk(library: Library, place: Place, entries: Iterable[Entry], reader: str) -> Iterator[int]:
    """Bring the library up to date with a walk of `place`; yields how many entries were met, some at a time.

    A new or changed file becomes pending. A file that is no longer met is marked gone, except under a folder that
    could not be listed. Where files are known but not one is met, the folder is taken for a drive that is not
    mounted and nothing is marked: see `looks_unmounted`.
    """
    with library.transaction() as database:
        # What was met is kept in a temporary table, so memory does not grow with the folder.
        database.execute("CREATE TEMP TABLE IF NOT EXISTS met (path BLOB PRIMARY KEY) WITHOUT ROWID")
        database.execute("DELETE FROM met")
    source, unlisted = iter(entries), []
    while some := list(islice(source, TOGETHER)):
        _meet(library, place, some, reader)
        unlisted += [entry.path for entry in some if entry.reason == "unreadable folder"]
        yield len(some)
    if looks_unmounted(library, place):
        return
    with library.transaction() as database:
        for path in unlisted:
            start = paths.start(path)
            database.execute(
                """INSERT OR IGNORE INTO met SELECT path FROM files
                WHERE root = ? AND substr(path, 1, ?) = ?""",
                (place.root, len(start), start),
            )
        database.execute(
            """UPDATE files SET gone_at = ? WHERE root = ? AND gone_at IS NULL AND substr(path, 1, ?) = ?
            AND path NOT IN (SELECT path FROM met)""",
            (int(time.time()), place.root, len(place.start), place.start),
        )
        # Whatever failed for a passing reason, or under other software, is tried again.
        database.execute(
            f"""UPDATE files SET reason = NULL, detail = NULL, reader = NULL
            WHERE root = ? AND gone_at IS NULL AND size <> {NOT_A_FILE} AND reason <> '{SIDECAR}'
            AND (reader IS NOT ? OR reason IN ({",".join("?" * len(MOMENTARY))})) AND substr(path, 1, ?) = ?""",
            (place.root, reader, *MOMENTARY, len(place.start), place.start),
        )
        _look_at_sidecars(database, place)
        if not place.prefix:
            database.execute("UPDATE roots SET scanned_at = ? WHERE id = ?", (int(time.time()), place.root))


def looks_unmounted(library: Library, place: Place) -> bool:
    """Files are known under `place`, but the last walk met nothing at all there.

    An empty mount point looks like this. So does a folder that was really emptied: its files then stay known, and
    are left out of results because they are not there when looked for.
    """
    met = library.query("SELECT 1 FROM met LIMIT 1")
    return not met and count_present(library, place) > 0


def count_present(library: Library, place: Place) -> int:
    """Files under `place` that are not marked gone."""
    rows = library.query(
        "SELECT count(*) FROM files WHERE root = ? AND gone_at IS NULL AND substr(path, 1, ?) = ?",
        (place.root, len(place.start), place.start),
    )
    return int(rows[0][0])


def count_gone(library: Library, place: Place) -> int:
    """Files under `place` that are marked gone."""
    rows = library.query(
        "SELECT count(*) FROM files WHERE root = ? AND gone_at IS NOT NULL AND substr(path, 1, ?) = ?",
        (place.root, len(place.start), place.start),
    )
    return int(rows[0][0])


def count_pending(library: Library, place: Place, model: Model) -> int:
    """Files under `place` that wait to be read, for the model."""
    rows = library.query(f"SELECT count(*) {_PENDING}", (place.root, len(place.start), place.start, model.id, -1))
    return int(rows[0][0])


def pending(library: Library, place: Place, model: Model) -> Iterator[Pending]:
    """Files under `place` that wait to be read, a page at a time, in the order in which they were met."""
    last = -1
    while rows := library.query(
        f"SELECT f.id, f.path, f.photo IS NOT NULL {_PENDING} ORDER BY f.id LIMIT {TOGETHER}",
        (place.root, len(place.start), place.start, model.id, last),
    ):
        for id, path, again in rows:
            yield Pending(id, paths.join(place.path, path), bool(again))
        last = rows[-1][0]


def unpaired(library: Library, place: Place) -> list[tuple[Place, Pending]]:
    """Videos under `place` that are no photo's moving half, and of which no picture was taken yet."""
    rows = library.query(
        f"""SELECT f.id, f.path FROM files f JOIN clips c ON c.file = f.id WHERE f.root = ? AND f.gone_at IS NULL
        AND substr(f.path, 1, ?) = ? AND f.reason = '{VIDEO}' AND c.still IS NULL ORDER BY f.id""",
        (place.root, len(place.start), place.start),
    )
    return [(place, Pending(id, paths.join(place.path, path))) for id, path in rows]


# A photo that is known but has no vector of this model, or no print, is read once, through whichever of its files comes
# first. What a file says is read of each.
_PENDING = f"""FROM files f WHERE f.root = ? AND f.gone_at IS NULL AND f.reason IS NULL
    AND substr(f.path, 1, ?) = ? AND (f.photo IS NULL
        OR NOT EXISTS (SELECT 1 FROM vectors v WHERE v.model = ? AND v.photo = f.photo)
        OR NOT EXISTS (SELECT 1 FROM prints r WHERE r.photo = f.photo AND r.version >= {prints.VERSION})
        OR NOT EXISTS (SELECT 1 FROM facts t WHERE t.file = f.id AND t.version >= {VERSION})) AND f.id > ?"""


def _meet(library: Library, place: Place, entries: Sequence[Entry], reader: str) -> None:
    same = """size = excluded.size AND mtime_ns = excluded.mtime_ns
        AND (excluded.reason IS NULL OR reason IS excluded.reason)"""
    with library.transaction() as database:
        # An unchanged file is not written: looking over an unchanged folder costs no disk writes.
        database.executemany(
            f"""INSERT INTO files (root, path, size, mtime_ns, reason, detail, reader) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (root, path) DO UPDATE SET
                photo = CASE WHEN {same} THEN photo END,
                reason = CASE WHEN {same} THEN reason ELSE excluded.reason END,
                detail = CASE WHEN {same} THEN detail ELSE excluded.detail END,
                reader = CASE WHEN {same} THEN reader ELSE excluded.reader END,
                size = excluded.size, mtime_ns = excluded.mtime_ns, gone_at = NULL
            WHERE NOT ({same}) OR gone_at IS NOT NULL""",
            [
                (place.root, e.path, e.size, e.mtime_ns, e.reason, e.detail, reader if e.reason else None)
                for e in entries
            ],
        )
        database.executemany("INSERT OR IGNORE INTO met VALUES (?)", [(entry.path,) for entry in entries])


def _look_at_sidecars(database: sqlite3.Connection, place: Place) -> None:
    """A file whose sidecar came, changed or went is to be read again."""
    beside: dict[bytes, bytes] = {
        path: stamp(paths.split(path)[1], size, mtime_ns)
        for path, size, mtime_ns in database.execute(
            f"""SELECT path, size, mtime_ns FROM files WHERE root = ? AND reason = '{SIDECAR}' AND gone_at IS NULL
            AND substr(path, 1, ?) = ?""",
            (place.root, len(place.start), place.start),
        )
    }
    read = database.execute(
        """SELECT f.id, f.path, t.sidecar FROM files f JOIN facts t ON t.file = f.id
        WHERE f.root = ? AND f.gone_at IS NULL AND substr(f.path, 1, ?) = ? AND (? OR t.sidecar IS NOT NULL)""",
        (place.root, len(place.start), place.start, bool(beside)),
    )
    stale = [(file,) for file, path, was in read if _sidecar_of(path, beside) != was]
    database.executemany("UPDATE facts SET version = 0 WHERE file = ?", stale)


def _sidecar_of(path: bytes, beside: Mapping[bytes, bytes]) -> bytes | None:
    """The stamp of the one that is read with the file at `path`."""
    folder, name = paths.split(path)
    names = (paths.join(folder, os.fsencode(beside)) for beside in sidecars_for(os.fsdecode(name)))
    return next((beside[name] for name in names if name in beside), None)


def _take_in(database: sqlite3.Connection, old: int, inner: bytes, new: int) -> None:
    database.execute(
        "UPDATE files SET root = ?, path = CAST(? || path AS BLOB) WHERE root = ?",
        (new, paths.start(inner), old),
    )
    database.execute("DELETE FROM roots WHERE id = ?", (old,))
