"""Width, height and mean colour of every photo, a column each: what a page needs to lay out a hundred thousand tiles.

A photo's content never changes, so only photos, and colours, that came since are read.
"""

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.serve.colours import UNKNOWN, Colours
from isthmus.photos.store import Library


class Tiles:
    """Safe from any thread. Photos are numbers in the library; one that it does not have is 1 x 1, of no colour."""

    def __init__(self, library: Library, colours: Colours) -> None:
        self._library, self._known = library, colours
        self._turn = Lock()
        self._photos = np.empty(0, np.int64)
        self._sizes = np.empty((0, 2), np.int32)
        self._colours = np.empty(0, np.int32)
        self._rows: dict[bytes, int] = {}
        self._colours_read = 0

    def of(self, photos: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """sizes [N, 2], width and height; colours [N], 0xRRGGBB or UNKNOWN."""
        with self._turn:
            self._read_on()
            if not len(self._photos):
                return np.ones((len(photos), 2), np.int32), np.full(len(photos), UNKNOWN, np.int32)
            rows = np.minimum(np.searchsorted(self._photos, photos), len(self._photos) - 1)
            known = self._photos[rows] == photos
            sizes = np.where(known[:, None], self._sizes[rows], 1)
            return sizes, np.where(known, self._colours[rows], UNKNOWN)

    def _read_on(self) -> None:
        last = int(self._photos[-1]) if len(self._photos) else 0
        rows = self._library.query("SELECT id, width, height, hash FROM photos WHERE id > ? ORDER BY id", (last,))
        if rows:
            hashes = [row[3] for row in rows]
            self._rows |= zip(hashes, range(len(self._photos), len(self._photos) + len(rows)), strict=True)
            self._photos = np.concatenate([self._photos, np.array([row[0] for row in rows], np.int64)])
            self._sizes = np.concatenate([self._sizes, np.array([row[1:3] for row in rows], np.int32)])
            self._colours = np.concatenate([self._colours, self._known.of(hashes)])
        came = self._known.since(self._colours_read)
        self._colours_read += len(came)
        for hash, colour in came:
            if (row := self._rows.get(hash)) is not None:
                self._colours[row] = colour
