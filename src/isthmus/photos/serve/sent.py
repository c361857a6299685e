"""What is sent of a photo: its original, one zip of several, a list of them. Nothing is sent that is no picture."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO, cast
from urllib.parse import quote

import numpy as np

from isthmus.errors import PictureError
from isthmus.images.sniff import HEAD, Kind, sniff
from isthmus.photos import paths, video
from isthmus.photos.hits import Folders, Hit, hits
from isthmus.photos.ranking import Best
from isthmus.photos.serve.originals import chunks, open_original
from isthmus.photos.serve.told_paths import shown
from isthmus.photos.store import Library

MOST = 1000
"""Photos in one zip or list."""

MEDIA: dict[Kind, str] = {
    "JPEG": "image/jpeg", "PNG": "image/png", "WebP": "image/webp", "AVIF": "image/avif", "GIF": "image/gif",
    "TIFF": "image/tiff", "HEIF": "image/heif", "BMP": "image/bmp", "RAW": "application/octet-stream",
}  # fmt: skip

SHOWN_BY_BROWSERS: frozenset[Kind] = frozenset({"JPEG", "PNG", "WebP", "AVIF", "GIF"})

EARLIEST, LATEST = datetime(1980, 1, 1), datetime(2107, 12, 31)
"""What a zip can say of a file's time."""


def original(library: Library, photo: int) -> tuple[Iterator[bytes], dict[str, str]] | None:
    """The bytes of a photo's file and the headers that go with them; None where no copy is there as it was indexed."""
    found = open_original(library, photo)
    if found is None:
        return None
    opened, file = found
    head = opened.read(HEAD)
    opened.seek(0)
    try:
        kind = None if video.is_one(head) else sniff(head, "it")
    except PictureError:
        opened.close()
        return None
    name = quote(shown(paths.split(file.path)[1]).replace("/", "_"), safe="")
    shows = "inline" if kind in SHOWN_BY_BROWSERS else "attachment"
    headers = {
        "Content-Type": "application/octet-stream" if kind is None else MEDIA[kind],
        "Content-Length": str(file.size),
        "Content-Disposition": f"{shows}; filename*=UTF-8''{name}",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{file.hash.hex()[:32]}"',
    }
    return _exactly(chunks(opened), file.size), headers


def zipped(library: Library, photos: Sequence[int]) -> Iterator[bytes]:
    """A zip of the originals, made while it is sent; those that are not there are listed in it."""
    sink = _Sink()
    missing, used = [], set[str]()
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive:
        for photo in dict.fromkeys(photos):
            found = open_original(library, photo)
            if found is None:
                missing.append(photo)
                continue
            opened, file = found
            entry = zipfile.ZipInfo(_name(shown(paths.split(file.path)[1]), used))
            taken = min(max(datetime.fromtimestamp(file.mtime_ns // 10**9), EARLIEST), LATEST)
            entry.date_time = (taken.year, taken.month, taken.day, taken.hour, taken.minute, taken.second)
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as target:
                for some in chunks(opened):
                    target.write(some)
                    yield sink.take()
            yield sink.take()
        if missing:
            lines = (f"{photo}\t{_path_of(library, photo)}" for photo in missing)
            archive.writestr(_name("not here now.txt", used), "\n".join(lines) + "\n")
    yield sink.take()


def listed_as_json(library: Library, photos: Sequence[int]) -> bytes:
    """As `isthmus photos search --json` has results: a name that is not text has escapes that Python's json and
    os.fsencode turn back into its bytes."""
    return json.dumps({"results": [vars(hit) for hit in _hits(library, photos)]}, indent=2).encode()


def listed_as_csv(library: Library, photos: Sequence[int]) -> bytes:
    """A line a photo, UTF-8, names as the bytes they are."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["photo", "path", "width", "height", "taken", "copies", "available"])
    for hit in _hits(library, photos):
        table.writerow(
            [hit.photo, hit.path, hit.width, hit.height, hit.taken or "", len(hit.copies), int(hit.available)]
        )
    return text.getvalue().encode("utf-8", "surrogateescape")


def _hits(library: Library, photos: Sequence[int]) -> list[Hit]:
    found = hits(library, Folders(library), Best(np.array(list(dict.fromkeys(photos)), np.int64)), 1)
    return [hit for hit in found if hit is not None]


def _path_of(library: Library, photo: int) -> str:
    rows = library.query(
        "SELECT r.path, f.path FROM files f JOIN roots r ON r.id = f.root WHERE f.photo = ? LIMIT 1", (photo,)
    )
    return shown(paths.join(*rows[0])) if rows else "no such photo"


def _name(name: str, used: set[str]) -> str:
    """One that no other entry has, and that leads nowhere when it is unpacked."""
    safe = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name).strip(". ") or "photo"
    stem, dot, ending = safe.rpartition(".")
    if not dot:
        stem, ending = safe, ""
    number, free = 1, safe
    while free.lower() in used:
        number += 1
        free = f"{stem} ({number}){dot}{ending}"
    used.add(free.lower())
    return free


def _exactly(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    """As many bytes as were promised, though the file grows meanwhile."""
    for part in parts:
        yield part[:size]
        size -= len(part)
        if size <= 0:
            return


class _Sink:
    """A file of which only the end is kept: what was written since it was last taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
