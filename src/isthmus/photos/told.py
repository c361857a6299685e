"""What a file says of its photo, with its sidecar: as it is read, and as the library keeps it.

Kept for each file, for its name and its sidecar speak too; `facts` gathers what is said of a photo.
"""

import os
import sqlite3
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from isthmus.photos import paths
from isthmus.photos.facts import bits
from isthmus.photos.metadata import Metadata, Region, metadata_of, sidecars_for
from isthmus.photos.metadata.blocks import MAX_PACKET
from isthmus.photos.metadata.video import of_video
from isthmus.photos.query.nearest import nearest
from isthmus.photos.said import folded

VERSION = 1
"""Of the reading. Raise it where more or better is read: files are then read again, not embedded again."""

UNLINKED = paths.READ | getattr(os, "O_NOFOLLOW", 0)
"""A sidecar that is a link could lead out of the folder: it is not followed."""


@dataclass(frozen=True)
class Told:
    """`sidecar`: which one was read, as `stamp` has it; None where there is none. `code`: country and region of
    the town it was taken in or near, as the gazetteer has them; "" where that is not known."""

    metadata: Metadata
    sidecar: bytes | None = None
    code: str = ""


def told_by(path: bytes, data: bytes) -> Told:
    """What the file at `path`, with these bytes, and its sidecar say. Never raises."""
    folder, name = os.path.split(path)
    found = _sidecar(folder, os.fsdecode(name))
    beside, mark = found or (None, None)
    said = metadata_of(data, name=os.fsdecode(name), sidecar=beside)
    return Told(said, mark, _code(said))


def told_by_video(path: bytes, tags: Mapping[str, str]) -> Told:
    """As `told_by`, of a video with these tags."""
    by_name = told_by(path, b"")
    said = of_video(by_name.metadata, tags, datetime.now())
    return Told(said, by_name.sidecar, _code(said))


def stamp(name: bytes, size: int, mtime_ns: int) -> bytes:
    """Which sidecar it is, and of when."""
    return b"%s\0%d\0%d" % (name, size, mtime_ns)


def write(database: sqlite3.Connection, file: int, told: Told) -> None:
    """In place of what the file said before."""
    said = told.metadata
    values = {
        "file": file,
        "version": VERSION,
        "sidecar": told.sidecar,
        "taken": said.taken.isoformat() if said.taken else None,
        "precision": said.precision,
        "offset": said.offset,
        "taken_from": said.taken_from,
        "latitude": said.latitude,
        "longitude": said.longitude,
        "altitude": said.altitude,
        "code": told.code,
        "maker": said.maker,
        "model": said.model,
        "lens": said.lens,
        "rating": said.rating,
        "title": said.title,
        "caption": said.caption,
        "software": said.software,
        "kinds": bits(said.kinds),
        "live_id": said.live_id,
        "problems": "\n".join(said.problems),
        "said": folded(said.title, said.caption, said.keywords),
    }
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f":{name}" for name in values)
    # Not by REPLACE, which goes past the trigger that takes the old words out of the index.
    database.execute("DELETE FROM facts WHERE file = ?", (file,))
    database.execute(f"INSERT INTO facts ({names}) VALUES ({places})", values)
    database.execute("DELETE FROM tags WHERE file = ?", (file,))
    boxes: dict[str, Region] = {region.name: region for region in said.regions}
    tags: list[tuple[object, ...]] = [(file, "keyword", word, None, None, None, None) for word in said.keywords]
    for person in said.people:
        box = boxes.get(person)
        tags.append((file, "person", person, *((box.x, box.y, box.w, box.h) if box else (None,) * 4)))
    database.executemany("INSERT INTO tags VALUES (?, ?, ?, ?, ?, ?, ?)", tags)


def _code(said: Metadata) -> str:
    if said.latitude is None or said.longitude is None:
        return ""
    town = nearest(said.latitude, said.longitude)
    return town.code if town else ""


def _sidecar(folder: bytes, name: str) -> tuple[bytes, bytes] | None:
    """Its bytes and its stamp."""
    for beside in sidecars_for(name):
        try:
            with os.fdopen(os.open(paths.join(folder, os.fsencode(beside)), UNLINKED), "rb") as file:
                status = os.fstat(file.fileno())
                if stat.S_ISREG(status.st_mode):
                    mark = stamp(os.fsencode(beside), status.st_size, status.st_mtime_ns)
                    return file.read(MAX_PACKET + 1), mark
        except OSError:
            continue
    return None
