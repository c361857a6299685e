"""What Isthmus itself reads of TIFF directories (TIFF files and EXIF blocks): enough to judge them before Pillow does.

A directory may declare thousands of values that all point at the same bytes; reading them one by one, as Pillow
does, turns a file of megabytes into gigabytes of memory. So the declared weight is added up first.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

ORIENTATION = 0x0112
SUBFILE_TYPE = 0x00FE
STRIP_OFFSETS, STRIP_BYTE_COUNTS = 0x0111, 0x0117
DNG_VERSION = 0xC612
BELOW = frozenset({0x014A, 0x8769, 0x8825, 0xA005})
"""Tags that point at further directories: SubIFDs, EXIF, GPS, interoperability."""

UNIT = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each field type (TIFF 6.0, section 2; 13 and 16 to 18 from its supplements)."""


@dataclass(frozen=True)
class Entry:
    """One field of a directory. `value` is read as a number where it is a single SHORT or LONG, else None."""

    tag: int
    weight: int
    value: int | None


def orientation(exif: bytes | None) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or the block is damaged."""
    if not exif:
        return 1
    for entry in entries(exif.removeprefix(b"Exif\0\0")):
        if entry.tag == ORIENTATION:
            return entry.value if entry.value is not None and 1 <= entry.value <= 8 else 1
    return 1


def weight(tiff: bytes) -> int:
    """Bytes that reading all values of the first directory and those below it would copy out of `tiff`."""
    total = 0
    for entry in entries(tiff):
        total += min(entry.weight, len(tiff))
        if entry.tag in BELOW and entry.value:
            total += sum(min(below.weight, len(tiff)) for below in entries(tiff, entry.value))
    return total


def starts(data: bytes) -> Iterator[int]:
    """Where a TIFF header seems to begin in `data`, the first 64 times."""
    found = re.finditer(rb"II\*\0|MM\0\*", data)
    yield from (match.start() for match in islice(found, 64))


def cut_short(tiff: bytes) -> bool:
    """Whether the first directory, or a page's only strip, lies beyond the end of the bytes."""
    found = {entry.tag: entry.value for entry in entries(tiff)}
    strip, length = found.get(STRIP_OFFSETS), found.get(STRIP_BYTE_COUNTS)
    return not found or (strip is not None and length is not None and strip + length > len(tiff))


def entries(tiff: bytes, offset: int | None = None) -> Iterator[Entry]:
    """The fields of the directory at `offset` (None: the first one); ends quietly where the bytes end."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return
    big = 43 in (tiff[2], tiff[3]) if len(tiff) > 3 else False
    head, count, field = (8, "Q", "HHQQ") if big else (4, "H", "HHLL")
    try:
        if offset is None:
            (offset,) = struct.unpack_from(order + ("Q" if big else "L"), tiff, head)
        (number,) = struct.unpack_from(order + count, tiff, offset)
        first, step = offset + struct.calcsize("<" + count), struct.calcsize("<" + field)
        for i in range(number):
            at = first + i * step
            tag, kind, values, _ = struct.unpack_from(order + field, tiff, at)
            unit = UNIT.get(kind, 0)
            value = None
            if values == 1 and kind in (3, 4, 13):
                (value,) = struct.unpack_from(order + ("H" if kind == 3 else "L"), tiff, at + (12 if big else 8))
            # Values that fit into the field itself lie in the directory: they weigh nothing.
            size = unit * values
            yield Entry(tag, size if size > (8 if big else 4) else 0, value)
    except (struct.error, OverflowError):
        return
