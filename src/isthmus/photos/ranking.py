"""The photos that fit a query, in an order, of which the best are made out as they are asked for.

Notation: N rows of a matrix, D numbers each; M photos.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.gloss import Gloss
from isthmus.photos.query import Query
from isthmus.photos.regions import REGIONS, first_row
from isthmus.photos.scan import Scan, largest

if TYPE_CHECKING:  # they bring lancedb, and the models
    from isthmus.photos.lance import LanceScan
    from isthmus.photos.sure import Bars, Centred

BLOCK = 256
"""Photos held against the background at once."""
EXACT = 1_000
"""Photos from the top whose scores are computed again in fp32."""
ENOUGH = 0.02
"""Of a block: where fewer are sure, those further down are not looked at."""


@dataclass(frozen=True)
class Best:
    """Photos [M], best first. `scores`: cosines, where the query has words; a photo is as near as its whole or the
    nearest of its regions. `parts`: which that was, -1 for the whole, else the region's number among `regions.boxes`.
    `rows`: where its vector is in the matrix of the one or the other."""

    photos: NDArray[np.int64]
    scores: NDArray[np.float32] | None = None
    parts: NDArray[np.int64] | None = None
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def first(self, k: int) -> "Best":
        """The best k at most."""
        return self.at(slice(k))

    def at(self, which: "NDArray[np.bool_] | NDArray[np.int64] | slice") -> "Best":
        """Some of them: by a mask, by their places, or a slice."""
        scores = None if self.scores is None else self.scores[which]
        parts = None if self.parts is None else self.parts[which]
        return Best(self.photos[which], scores, parts, None if self.rows is None else self.rows[which])

    def then(self, other: "Best") -> "Best":
        """Both, of words."""
        assert self.scores is not None
        assert other.scores is not None
        assert self.parts is not None
        assert other.parts is not None
        assert self.rows is not None
        assert other.rows is not None
        return Best(
            np.concatenate([self.photos, other.photos]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.parts, other.parts]),
            np.concatenate([self.rows, other.rows]),
        )


@dataclass(frozen=True)
class Ranking:
    """Photos, of which the best are made out as they are asked for. Fields as in `search.Found`."""

    query: Query
    order: "Order"
    fitting: int
    photos: int
    without: tuple[tuple[int, int], ...] = ()
    gloss: Gloss | None = None
    sure: int | None = None

    def first(self, k: int) -> Best:
        """The best k at most."""
        return self.order.first(k)


@dataclass(frozen=True)
class ByWords:
    """By the cosines of whole photos [N] and, where there are any, of regions."""

    whole: "Scan | LanceScan"
    photos: NDArray[np.int64]
    closer: "Scan | LanceScan | None" = None
    closer_photos: NDArray[np.int64] | None = None
    words: "Centred | None" = None
    """What the scans looked for; None for pictures."""
    bars: "tuple[Bars, Bars | None] | None" = None
    """Of the rows of both: what words have to reach; None for pictures."""

    def __len__(self) -> int:
        return self.whole.kept

    def first(self, k: int) -> Best:
        """The best EXACT are scored in fp32; those further down, which are for scrolling, by the scan's fp16."""
        if k <= EXACT or self.whole.rough is None:
            return self._exactly(k)
        head = self._exactly(EXACT)
        return head.then(self._roughly(head.photos, k - len(head.photos)))

    def _exactly(self, k: int) -> Best:
        none = np.empty(0, np.int64), np.empty(0, np.float32)
        if self.whole.rough is None:
            rows, scores = self.whole.best(k)
            # Among so many of the nearest regions there are k photos, if there are so many at all.
            regions = self.closer.best(k * REGIONS) if self.closer is not None else none
        else:
            k = min(k, self.whole.kept)
            if k == 0:
                return Best(none[0], none[1], none[0], none[0])
            # Only what may be the nearest view of one of the k best photos is scored again.
            least = np.float32(largest(self._nearest_views[0], k) - 2 * self.whole.slack)
            rows = np.flatnonzero(self.whole.rough >= least)
            scores, regions = self.whole.exact(rows), none
            if self.closer is not None and self.closer.rough is not None:
                near = np.flatnonzero(self.closer.rough >= least)
                regions = near, self.closer.exact(near)
        return self._with_regions(Best(self.photos[rows], scores, np.full(len(rows), -1), rows), *regions).at(slice(k))

    def _roughly(self, without: NDArray[np.int64], k: int) -> Best:
        photos, (scores, rows, parts) = self.photos, self._nearest_views
        counted = np.flatnonzero(np.isfinite(scores) & ~np.isin(photos, without))
        if k < len(counted):
            least = np.partition(scores[counted], len(counted) - k)[len(counted) - k]
            counted = counted[scores[counted] >= least]
        chosen = counted[np.lexsort((photos[counted], -scores[counted]))][:k]
        return Best(photos[chosen], scores[chosen], parts[chosen], rows[chosen])

    @cached_property
    def _nearest_views(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Of each photo [N]: the scan's score of its whole or its nearest region, and that one's row and part."""
        assert self.whole.rough is not None
        photos, scores = self.photos, self.whole.rough.copy()
        rows, parts = np.arange(len(photos)), np.full(len(photos), -1)
        if self.closer is not None and self.closer_photos is not None and len(self.closer_photos):
            assert self.closer.rough is not None
            nearest = self.closer.rough
            # Rows of one photo lie together.
            starts = np.flatnonzero(np.diff(self.closer_photos, prepend=self.closer_photos[0] - 1))
            best = np.maximum.reduceat(nearest, starts)
            order = np.argsort(photos, kind="stable")
            at = order[np.searchsorted(photos, self.closer_photos[starts], sorter=order)]
            better = best > scores[at]
            lengths = np.diff(np.append(starts, len(nearest)))
            where = np.flatnonzero(nearest == np.repeat(best, lengths))
            first = where[np.searchsorted(where, starts)]
            scores[at[better]], rows[at[better]] = best[better], first[better]
            parts[at[better]] = (first - starts)[better]
        return scores, rows, parts

    def of(self, photos: NDArray[np.int64]) -> Best:
        """Those of these photos that have a vector."""
        rows = np.flatnonzero(np.isin(self.photos, photos))
        best = Best(self.photos[rows], self.whole.exact(rows), np.full(len(rows), -1), rows)
        if self.closer is None or self.closer_photos is None:
            return self._with_regions(best, np.empty(0, np.int64), np.empty(0, np.float32))
        rows = np.flatnonzero(np.isin(self.closer_photos, photos))
        return self._with_regions(best, rows, self.closer.exact(rows))

    def _with_regions(self, best: Best, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> Best:
        """Each photo once, by its whole or the nearest of these regions, best first."""
        both = best
        if len(rows):
            assert self.closer_photos is not None
            parts = rows - first_row(self.closer_photos, rows)
            both = best.then(Best(self.closer_photos[rows], scores, parts, rows))
        assert both.scores is not None
        assert both.parts is not None
        order = np.lexsort((both.parts, both.photos, -both.scores))
        _, at = np.unique(both.photos[order], return_index=True)
        return both.at(order[np.sort(at)])

    def sure(self) -> Best:
        """Those that surely show the words, in this order."""
        found, seen, k = self.first(0), 0, BLOCK
        while True:
            best = self.first(k)
            block = best.at(slice(seen, None))
            if not len(block.photos):
                return found
            surely = self._surely(block)
            found = found.then(block.at(surely))
            if len(best.photos) < k or surely.mean() < ENOUGH:
                return found
            seen, k = k, 2 * k

    def _surely(self, best: Best) -> NDArray[np.bool_]:
        assert best.scores is not None
        assert best.parts is not None
        assert best.rows is not None
        assert self.words is not None
        assert self.bars is not None
        bars, closer_bars = self.bars
        surely, whole = np.empty(len(best), bool), best.parts < 0
        surely[whole] = bars.surely(best.rows[whole], best.scores[whole], self.words, self.whole.take)
        if self.closer is not None and closer_bars is not None:
            rows, scores = best.rows[~whole], best.scores[~whole]
            surely[~whole] = closer_bars.surely(rows, scores, self.words, self.closer.take)
        return surely


@dataclass(frozen=True)
class HeadFirst:
    """Some photos first, the others behind them in their order."""

    head: Best
    order: ByWords

    def __len__(self) -> int:
        return len(self.order)

    def first(self, k: int) -> Best:
        if k <= len(self.head.photos):
            return self.head.at(slice(k))
        best = self.order.first(k)
        rest = best.at(~np.isin(best.photos, self.head.photos))
        return self.head.then(rest).at(slice(k))


Order = Best | ByWords | HeadFirst
