"""Focus: an overview, and some regions in full resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError
from isthmus.images.fits import BLACK, Sampling, require_positive, whole
from isthmus.images.pixels import Colour, resample, resample_padded
from isthmus.images.views import Box, Picture, View, Views

CELL = 32
"""Side, in original pixels, of the cells whose detail is compared; windows move by whole cells."""


@dataclass(frozen=True)
class Focus(Sampling):
    """The squashed overview, then up to `count` regions at the picture's own resolution; all [3, size, size].

    Regions are given, `fit(picture, regions)`, or chosen: the windows of size x size original pixels with the most
    detail (mean squared brightness step between neighbours) that do not overlap, in reading order. A picture that the
    overview already shows in full resolution has no regions; `Views.grid` is None.
    """

    size: int = 336
    count: int = 4
    fill: Colour = BLACK

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.size)
        if self.count < 0:
            raise InputError("Focus needs a count of 0 or more", why=f"got {self.count}")

    @property
    def at_least(self) -> int | None:
        return None

    def __call__(self, picture: Picture, regions: Sequence[Box] | None = None) -> Views:
        """With `regions` (original pixels), one view for each, in their order, and `count` is not asked: the smallest
        square window around it, no smaller than size x size, so nothing is enlarged, moved to lie inside the picture.

        Raises InputError for a region outside the picture.
        """
        overview = self.view(resample(picture, whole(picture), self.size, self.size, self.resample), whole(picture))
        windows = self.choose(picture) if regions is None else [self._window(picture, r) for r in regions]
        return Views((overview, *(self._look(picture, w) for w in windows)), picture.width, picture.height)

    def choose(self, picture: Picture) -> list[Box]:
        """The windows with the most detail, at most `count`, none overlapping, in reading order."""
        if picture.width <= self.size and picture.height <= self.size:
            return []
        score, lefts, tops = self._scores(picture)
        chosen: list[tuple[int, int]] = []
        # Stable, so that of equals the first in reading order is taken.
        for at in np.argsort(-score, axis=None, kind="stable").tolist():
            if len(chosen) == self.count:
                break
            top, left = int(tops[at // len(lefts)]), int(lefts[at % len(lefts)])
            if all(abs(top - t) >= self.size or abs(left - x) >= self.size for t, x in chosen):
                chosen.append((top, left))
        return [Box(left, top, left + self.size, top + self.size) for top, left in sorted(chosen)]

    def _scores(self, picture: Picture) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Mean detail of every window [rows, columns], and the windows' left and top edges."""
        lefts, tops = self._edges(picture.width), self._edges(picture.height)
        sums = np.zeros((picture.height + 1, len(lefts)))
        # Band by band: the whole picture's steps as floats would be four times the picture.
        grey = np.asarray(picture.image.convert("L").resize((picture.width, picture.height)))
        rights = np.minimum(lefts + self.size, picture.width)
        for start in range(0, picture.height, 1024):
            band = grey[start : start + 1025].astype(np.int32)
            rows = min(1024, picture.height - start)
            detail = np.zeros((rows, picture.width + 1), np.int64)
            steps = detail[:, 1:]
            steps[:, 1:] += np.diff(band[:rows], axis=1) ** 2
            steps[: len(band) - 1] += np.diff(band, axis=0)[:rows] ** 2
            along = detail.cumsum(axis=1)
            sums[start + 1 : start + 1 + rows] = along[:, rights] - along[:, lefts]
        down = sums.cumsum(axis=0)
        bottoms = np.minimum(tops + self.size, picture.height)
        return down[bottoms] - down[tops], lefts, tops

    def _edges(self, length: int) -> NDArray[np.int64]:
        """Where windows may begin along a side: every cell, and flush with the far end."""
        last = max(length - self.size, 0)
        return np.unique(np.append(np.arange(0, last + 1, CELL), last))

    def _window(self, picture: Picture, region: Box) -> Box:
        inside = region.left < picture.width and region.top < picture.height and region.right > 0 and region.bottom > 0
        if not inside or region.right <= region.left or region.bottom <= region.top:
            size = f"{picture.width} x {picture.height}"
            raise InputError(f"{region} is no region of the picture", why=f"the picture has {size} pixels")
        side = max(region.right - region.left, region.bottom - region.top, float(self.size))
        left = _shift((region.left + region.right - side) / 2, side, picture.width)
        top = _shift((region.top + region.bottom - side) / 2, side, picture.height)
        return Box(left, top, left + side, top + side)

    def _look(self, picture: Picture, window: Box) -> View:
        """The window; where it reaches beyond the picture, `fill` stands for the rest."""
        if window.right <= picture.width and window.bottom <= picture.height:
            return self.view(resample(picture, window, self.size, self.size, self.resample), window)
        return self.view(resample_padded(picture, window, self.size, self.resample, self.fill), window)


def _shift(start: float, side: float, length: int) -> float:
    """The window's edge moved inside the picture; at 0 where the window is longer than the picture."""
    return max(min(float(round(start)), length - side), 0.0)
