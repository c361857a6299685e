"""Chosen tags of a TIFF directory (EXIF blocks, TIFF and TIFF-based raw files), and nothing else of it.

Pillow reads every value of a directory: of a TIFF with layers or of a hostile EXIF block that is the whole file, once
for each directory. Here only what was asked for is copied, so the cost is bounded whatever the file declares.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.images.ifd import UNIT

MAX_TAGS = 1_000
"""Of a directory. Cameras write fewer than 100, raw converters about 200."""

MAX_VALUE = 64 << 10
"""Bytes of a value. What may be longer is asked for by a limit of its own."""

_HEADS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">", b"IIRO": "<", b"IIRS": "<", b"IIU\0": "<"}
_NUMBERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q", 17: "q", 18: "Q"}


@dataclass(frozen=True)
class Field:
    """One value of a directory: `kind` is the TIFF field type, `data` its bytes in `order` ("<" or ">").

    `length` is what the file declares in bytes; `data` is shorter where it was cut or where the file ends.
    """

    kind: int
    data: bytes
    order: str
    length: int

    def numbers(self) -> tuple[float | None, ...]:
        """The values as numbers, the first 16; a fraction with denominator 0 is None, and a text is none."""
        if self.kind in (5, 10):
            pairs = struct.iter_unpack(self.order + ("LL" if self.kind == 5 else "ll"), self._whole(8))
            return tuple(above / below if below else None for above, below in pairs)
        if (code := _NUMBERS.get(self.kind)) is None:
            return ()
        return tuple(value for (value,) in struct.iter_unpack(self.order + code, self._whole(UNIT[self.kind])))

    def number(self) -> int | None:
        """The first value where it is a whole number."""
        first = next(iter(self.numbers()), None)
        return int(first) if first is not None and first == first and first % 1 == 0 else None

    def _whole(self, unit: int) -> bytes:
        return self.data[: min(len(self.data) // unit, 16) * unit]


@dataclass(frozen=True)
class Tiff:
    """A block of directories. `base` is where its offsets count from, `order` its byte order, `first` its first."""

    data: bytes
    order: str
    first: int
    big: bool = False
    base: int = 0

    def fields(self, wanted: Mapping[int, int], offset: int | None = None) -> tuple[dict[int, Field], int]:
        """The wanted tags (tag -> most bytes) of the directory at `offset`, and how many tags it declares.

        Ends quietly where the bytes end. Of a tag that comes twice, the first counts.
        """
        found: dict[int, Field] = {}
        at = self.base + (self.first if offset is None else offset)
        count, entry, inline = ("Q", "HHQ", 8) if self.big else ("H", "HHL", 4)
        try:
            (number,) = struct.unpack_from(self.order + count, self.data, at)
            at += struct.calcsize("<" + count)
            for _ in range(min(number, MAX_TAGS)):
                tag, kind, values = struct.unpack_from(self.order + entry, self.data, at)
                at += struct.calcsize("<" + entry)
                if tag in wanted and tag not in found and kind in UNIT:
                    length = UNIT[kind] * values
                    start = at
                    if length > inline:
                        (start,) = struct.unpack_from(self.order + ("Q" if self.big else "L"), self.data, at)
                        start += self.base
                    end = start + min(length, wanted[tag])
                    found[tag] = Field(kind, self.data[start:end], self.order, length)
                at += inline
        except (struct.error, OverflowError):
            return found, len(found)
        return found, number


def tiff(data: bytes) -> Tiff | None:
    """`data` as a block of directories; None where it starts otherwise. Raw files of Olympus and Panasonic count."""
    order = _HEADS.get(data[:4])
    if order is None:
        return None
    big = b"+" in data[2:4]
    try:
        (first,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
    except struct.error:
        return None
    return Tiff(data, order, first, big)
