"""What a library holds and what could not be read and why: the coverage report."""

import os
from dataclasses import dataclass

from isthmus.photos import paths
from isthmus.photos.store import Library
from isthmus.photos.text.kept import count_read
from isthmus.photos.walk import NOT_A_FILE, SIDECAR

MOVING = "(photo IS NULL AND EXISTS (SELECT 1 FROM clips c WHERE c.file = files.id AND c.still IS NOT NULL))"
"""A file is the moving half of a live photo."""


@dataclass(frozen=True)
class RootReport:
    path: str
    files: int
    available: bool


@dataclass(frozen=True)
class ModelReport:
    name: str
    fingerprint: str
    dim: int
    photos: int


@dataclass(frozen=True)
class UnreadFile:
    path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Coverage:
    """Every entry met is in exactly one of `known`, `pending`, `sidecars`, `moving` (videos that are a part of a live
    photo) and (by reason) `unread`; `gone` are no longer met.

    `photos`: distinct contents; `text_read`: those of them with a file whose text was read. `passed_over` counts, among
    `unread`, what holds no bytes of its own: links to folders, pipes, folders not entered.
    """

    library: str
    roots: tuple[RootReport, ...]
    models: tuple[ModelReport, ...]
    photos: int
    text_read: int
    known: int
    pending: int
    sidecars: int
    moving: int
    unread: dict[str, int]
    passed_over: int
    gone: int
    bytes: int

    @property
    def met(self) -> int:
        return self.known + self.pending + self.sidecars + self.moving + sum(self.unread.values())


def coverage(library: Library) -> Coverage:
    """Counts over the whole library. Raises CorruptLibrary."""
    roots = library.query(
        """SELECT r.path, count(f.id) FROM roots r LEFT JOIN files f ON f.root = r.id AND f.gone_at IS NULL
        GROUP BY r.id ORDER BY r.id"""
    )
    models = library.query(
        """SELECT m.name, m.fingerprint, m.dim, (SELECT count(*) FROM vectors v WHERE v.model = m.id)
        FROM models m ORDER BY m.used_at DESC"""
    )
    known, pending, gone, aside = library.query(
        f"""SELECT coalesce(sum(gone_at IS NULL AND photo IS NOT NULL), 0),
            coalesce(sum(gone_at IS NULL AND photo IS NULL AND reason IS NULL), 0),
            coalesce(sum(gone_at IS NOT NULL), 0),
            coalesce(sum(gone_at IS NULL AND reason IS NOT NULL AND size = {NOT_A_FILE}), 0)
        FROM files"""
    )[0]
    unread = library.query(
        f"""SELECT reason, count(*) FROM files WHERE reason IS NOT NULL AND gone_at IS NULL AND NOT {MOVING}
        GROUP BY reason ORDER BY count(*) DESC, reason"""
    )
    moving = library.query(f"SELECT count(*) FROM files WHERE gone_at IS NULL AND {MOVING}")[0][0]
    by_reason = dict(unread)
    sidecars = by_reason.pop(SIDECAR, 0)
    return Coverage(
        library=str(library.folder),
        roots=tuple(RootReport(os.fsdecode(path), files, paths.is_folder(path)) for path, files in roots),
        models=tuple(ModelReport(*row) for row in models),
        photos=library.query("SELECT count(*) FROM photos")[0][0],
        text_read=count_read(library),
        known=known,
        pending=pending,
        sidecars=sidecars,
        moving=moving,
        unread=by_reason,
        passed_over=aside,
        gone=gone,
        bytes=sum(file.stat().st_size for file in library.folder.iterdir() if file.is_file()),
    )


def count_photos(library: Library) -> int:
    """Distinct contents that have a file."""
    return int(
        library.query("SELECT count(DISTINCT photo) FROM files WHERE photo IS NOT NULL AND gone_at IS NULL")[0][0]
    )


def unread_files(library: Library) -> list[UnreadFile]:
    """Each file that could not be read, by reason and path."""
    rows = library.query(
        f"""SELECT r.path, files.path, reason, coalesce(detail, '') FROM files JOIN roots r ON r.id = root
        WHERE reason <> '{SIDECAR}' AND gone_at IS NULL AND NOT {MOVING} ORDER BY reason, r.path, files.path"""
    )
    return [UnreadFile(os.fsdecode(paths.join(root, path)), reason, detail) for root, path, reason, detail in rows]
