"""The photos that fit a query, in an order, of which the best are made out as they are asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.gloss import Gloss
from isthmus.photos.query import Query
from isthmus.photos.regions import REGIONS

if TYPE_CHECKING:  # it brings torch
    from isthmus.photos.scan import Scan


@dataclass(frozen=True)
class Best:
    """Photos, best first. `scores`: cosines, where the query has words; a photo is as near as its whole or the nearest
    of its regions. `parts`: which that was, -1 for the whole, else the region's number among `regions.boxes`."""

    photos: NDArray[np.int64]
    scores: NDArray[np.float32] | None = None
    parts: NDArray[np.int64] | None = None

    def from_place(self, start: int) -> "Best":
        scores = None if self.scores is None else self.scores[start:]
        return Best(self.photos[start:], scores, None if self.parts is None else self.parts[start:])


@dataclass(frozen=True)
class Ranking:
    """The photos that fit a query, of which the best are made out as they are asked for. Fields as in `Found`."""

    query: Query
    order: "ByWords | ByTime"
    fitting: int
    photos: int
    without: tuple[tuple[int, int], ...] = ()
    gloss: Gloss | None = None

    def first(self, k: int) -> Best:
        """The best k at most."""
        return self.order.first(k)


@dataclass(frozen=True)
class ByWords:
    """By the cosines of whole photos [N] and, where there are any, of regions."""

    whole: "Scan"
    photos: NDArray[np.int64]
    closer: "Scan | None" = None
    closer_photos: NDArray[np.int64] | None = None

    def first(self, k: int) -> Best:
        rows, scores = self.whole.best(k)
        photos, parts = self.photos[rows], np.full(len(rows), -1)
        if self.closer is not None and self.closer_photos is not None:
            # Among so many of the nearest regions there are k photos, if there are so many at all.
            rows, more = self.closer.best(k * REGIONS)
            of = self.closer_photos[rows]
            photos, scores = np.concatenate([photos, of]), np.concatenate([scores, more])
            parts = np.concatenate([parts, rows - _first_row(self.closer_photos, rows)])
            order = np.lexsort((parts, photos, -scores))
            _, at = np.unique(photos[order], return_index=True)
            best = order[np.sort(at)[:k]]
            photos, scores, parts = photos[best], scores[best], parts[best]
        return Best(photos, scores, parts)


def _first_row(photos: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each row: the first of those of its photo, which lie together."""
    first = rows.copy()
    for _ in range(REGIONS - 1):
        back = (first > 0) & (photos[first - 1] == photos[rows])
        first = np.where(back, first - 1, first)
    return first


@dataclass(frozen=True)
class ByTime:
    """In the order given."""

    photos: NDArray[np.int64]

    def first(self, k: int) -> Best:
        return Best(self.photos[:k])
