"""A print: 64 bits and a small grey version of a picture, nearly the same for its other sizes, qualities and formats.

Made where the picture is decoded anyway, and kept for each photo. Source: the difference hash (Krawetz, 2013), of which
way brightness goes from each cell of a coarse grid to the next.
"""

import sqlite3
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.images.fits import whole
from isthmus.images.pixels import resample
from isthmus.images.views import Picture

VERSION = 1
"""Of the making. Raise it where another print is made: photos are then decoded again, not embedded again."""

AT_LEAST = 64
"""Pixels of the shortest side that decoding must keep: four for each cell and more."""

CELLS = 8

SIDE = 16
"""Cells of a side of the small grey version, square whatever the picture's shape."""

EVEN = 2.0
"""Of 255. Where the cells vary less (standard deviation) than this, a print would be one of noise."""


@dataclass(frozen=True)
class Print:
    """`bits`: 8 bytes; `grey`: SIDE x SIDE bytes, row by row. Both are None where a picture is too even to have a
    print, or can no longer be decoded."""

    bits: bytes | None = None
    grey: bytes | None = None


def print_of(picture: Picture) -> Print:
    """Of the whole upright picture, its aspect ratio given up."""
    cells = np.asarray(resample(picture, whole(picture), CELLS + 1, CELLS, "box").convert("L"), np.int16)
    if cells.std() < EVEN:
        return Print()
    grey = resample(picture, whole(picture), SIDE, SIDE, "box").convert("L")
    return Print(np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes(), grey.tobytes())


def words(prints: list[bytes]) -> NDArray[np.uint64]:
    """[N]: prints as numbers, to be compared with `apart`."""
    return np.frombuffer(b"".join(prints), "<u8").astype(np.uint64)


def apart(one: np.uint64, others: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """[N]: in how many of the 64 bits the prints differ from `one`."""
    bits: NDArray[np.uint8] = np.bitwise_count(others ^ one)
    return bits


def write(database: sqlite3.Connection, photo: int, print: Print) -> None:
    """In place of the one it had."""
    database.execute(
        "INSERT OR REPLACE INTO prints (photo, version, dhash, grey) VALUES (?, ?, ?, ?)",
        (photo, VERSION, print.bits, print.grey),
    )
