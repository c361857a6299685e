"""Videos: whether a file is one, from its first bytes, and which live photo it says it belongs to.

Little of a file is read, wherever in it the answer lies: boxes are passed over by what their headers say.
Source: QuickTime File Format, "Metadata atoms" (keys and items); ISO/IEC 14496-12, section 4.2 (boxes).
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

from isthmus.photos.metadata import text

CONTENT_IDENTIFIER = b"com.apple.quicktime.content.identifier"

MAX_BOXES = 256
"""That are looked at on one level. Cameras write about ten."""

MAX_META = 1 << 20
"""Bytes of the box of metadata. Phones write about a thousand."""

MAX_IDENTIFIER = 256

# The first box of a QuickTime file; those from before "ftyp" begin with another.
_FIRST = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def is_video(head: bytes) -> bool:
    """Of the first 16 bytes of a file that is no picture: QuickTime or MP4, Matroska or WebM, AVI, MPEG."""
    return (
        head[4:8] in _FIRST
        or head[:4] == b"\x1a\x45\xdf\xa3"
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or head[:4] in (b"\0\0\1\xba", b"\0\0\1\xb3")
    )


def content_identifier(file: BinaryIO) -> str:
    """What the video shares with the still of a live photo, or "". Never raises for what is in the file.

    Raises OSError where it cannot be read.
    """
    end = file.seek(0, os.SEEK_END)
    for kind, start, stop in _boxes(file, 0, end):
        if kind == b"moov":
            for inner, at, after in _boxes(file, start, stop):
                if inner == b"meta" and after - at <= MAX_META:
                    file.seek(at)
                    if said := _identifier(file.read(after - at)):
                        return said
    return ""


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of what is inside the boxes from `at` to `end`."""
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        header = file.read(16)
        size, start = int.from_bytes(header[:4], "big"), at + 8
        if size == 1:  # the size is in the eight bytes behind
            size, start = int.from_bytes(header[8:16], "big"), at + 16
        elif size == 0:  # to the end
            size = end - at
        if at + size < start or at + size > end:
            return
        yield header[4:8], start, at + size
        at += size


def _identifier(meta: bytes) -> str:
    """From the names of `keys` and the values of `ilst`, which number them from 1."""
    inside = dict(_inner(meta, 0))
    if b"keys" not in inside:  # MP4's box has a version before what is in it, QuickTime's has none
        inside = dict(_inner(meta, 4))
    names = [name for name in _keys(inside.get(b"keys", b""))]
    for number, item in _inner(inside.get(b"ilst", b""), 0):
        at = int.from_bytes(number, "big") - 1
        if 0 <= at < len(names) and names[at] == CONTENT_IDENTIFIER:
            # A box "data": type and language, four bytes each, then the value.
            value = dict(_inner(item, 0)).get(b"data", b"")[8 : 8 + MAX_IDENTIFIER]
            return text.clean(value.decode("utf-8", "replace")).strip("\0 ")
    return ""


def _keys(box: bytes) -> Iterator[bytes]:
    """Behind version and count, eight bytes, each key is a box of its name space."""
    return (name for space, name in _inner(box, 8) if space == b"mdta")


def _inner(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """(kind, contents) of the boxes in `data`."""
    for _ in range(MAX_BOXES):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size
