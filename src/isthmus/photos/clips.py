"""Videos beside photos: the moving half of a live photo is a part of it, and no file that could not be read."""

import os
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from isthmus.photos import paths
from isthmus.photos.metadata import MOTION_PHOTO, Metadata, is_motion_pair

if TYPE_CHECKING:  # the library itself keeps what is said here
    from isthmus.photos.store import Library

VIDEO = "video"
"""The reason for which a video is not read as a photo."""


def pair(library: "Library") -> set[int]:
    """Find the still of every video, in the whole library: the one with its content identifier, wherever it lies; else
    the one of its name in its folder, unless both have identifiers and these differ. Gives the videos that have one."""
    clips = library.query(
        """SELECT c.file, f.root, f.path, c.live_id, c.still FROM clips c JOIN files f ON f.id = c.file
        WHERE f.gone_at IS NULL"""
    )
    if not clips:
        return set()
    by_id: dict[str, int] = {}
    by_name: dict[tuple[int, bytes, str], list[tuple[int, str, str]]] = {}
    for photo, root, path, live_id in library.query(
        """SELECT f.photo, f.root, f.path, coalesce(t.live_id, '') FROM files f LEFT JOIN facts t ON t.file = f.id
        WHERE f.photo IS NOT NULL AND f.gone_at IS NULL ORDER BY f.id"""
    ):
        if live_id and live_id != MOTION_PHOTO:
            by_id.setdefault(live_id.casefold(), photo)
        folder, name, stem = _named(path)
        by_name.setdefault((root, folder, stem), []).append((photo, name, live_id))
    paired, changed = set(), []
    for file, root, path, live_id, was in clips:
        still = by_id.get(live_id.casefold()) if live_id else None
        if still is None:
            folder, video, stem = _named(path)
            beside = by_name.get((root, folder, stem), ())
            fits = (one for one, name, id in beside if is_motion_pair(Metadata(live_id=id), name, video, live_id))
            still = next(fits, None)
        if still is not None:
            paired.add(file)
        if still != was:
            changed.append((still, file))
    if changed:
        with library.transaction() as database:
            database.executemany("UPDATE clips SET still = ? WHERE file = ?", changed)
    return paired


def videos_of(library: "Library", photos: Sequence[int]) -> dict[int, tuple[int, bytes]]:
    """Photo -> (root, path) of its moving half, of those that have one. At most a few hundred photos at once."""
    rows = library.query(
        f"""SELECT c.still, f.root, f.path FROM clips c JOIN files f ON f.id = c.file
        WHERE c.still IN ({", ".join("?" * len(photos))}) AND f.gone_at IS NULL ORDER BY f.id DESC""",
        photos,
    )
    return {still: (root, path) for still, root, path in rows}


def write(database: sqlite3.Connection, file: int, live_id: str | None) -> None:
    """What a file that was read says as a video; None: it is none."""
    database.execute("DELETE FROM clips WHERE file = ?", (file,))
    if live_id is not None:
        database.execute("INSERT INTO clips (file, live_id) VALUES (?, ?)", (file, live_id))


def _named(path: bytes) -> tuple[bytes, str, str]:
    """Its folder, its name, and that without ending and case."""
    folder, name = paths.split(path)
    text = os.fsdecode(name)
    return folder, text, os.path.splitext(text)[0].casefold()  # noqa: PTH122 - no path
