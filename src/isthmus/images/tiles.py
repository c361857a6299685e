"""Tiles: an overview, and the picture again in as many tiles as its shape deserves."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from isthmus.errors import InputError
from isthmus.images.fits import BLACK, OVERSAMPLING, Sampling, require_positive, whole
from isthmus.images.pixels import Colour, resample
from isthmus.images.views import Box, Picture, View, Views

LLAVA_NEXT_GRIDS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))


@dataclass(frozen=True)
class Tiles(Sampling):
    """Any-resolution tiling as LLaVA-NeXT does it: views [3, size, size], the squashed overview first, then the tiles
    row by row; `Views.grid` is their (rows, columns).

    Of the `grids` (rows, columns), the one on which most of the picture's pixels survive, and of those the one that
    wastes the fewest, is taken. The picture keeps its aspect ratio and stands in the middle of it; what is left over
    is `fill`. Source: LLaVA-NeXT (Liu et al., 2024), "dynamic high resolution".
    """

    size: int = 336
    grids: tuple[tuple[int, int], ...] = LLAVA_NEXT_GRIDS
    fill: Colour = BLACK

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "grids", tuple((rows, columns) for rows, columns in self.grids))
        if not self.grids:
            raise InputError("Tiles needs at least one grid", todo="give (rows, columns) pairs")
        require_positive(self.size, *(n for grid in self.grids for n in grid))

    @property
    def at_least(self) -> int:
        # Whatever the grid, the picture stands inside it: its shortest side is no longer than the grid's.
        return OVERSAMPLING * self.size * max(min(grid) for grid in self.grids)

    def __call__(self, picture: Picture) -> Views:
        rows, columns = self.grid(picture.width, picture.height)
        overview = self.view(resample(picture, whole(picture), self.size, self.size, self.resample), whole(picture))
        tiles = self._tiles(picture, rows, columns)
        return Views((overview, *tiles), picture.width, picture.height, (rows, columns))

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """The (rows, columns) for a picture of that size; of equals, the first in `grids`."""

        def merit(grid: tuple[int, int]) -> tuple[int, int]:
            across, down = grid[1] * self.size, grid[0] * self.size
            scale = min(across / width, down / height)
            # Enlarging makes no new pixels: only those the picture has count as used.
            used = min(int(width * scale) * int(height * scale), width * height)
            return used, used - across * down

        return max(self.grids, key=merit)

    def _tiles(self, picture: Picture, rows: int, columns: int) -> list[View]:
        across, down = columns * self.size, rows * self.size
        x, y = across / picture.width, down / picture.height
        if x < y:
            width, height = across, min(math.ceil(picture.height * x), down)
        else:
            width, height = min(math.ceil(picture.width * y), across), down
        left, top = (across - width) // 2, (down - height) // 2
        canvas = Image.new("RGB", (across, down), self.fill)
        canvas.paste(resample(picture, whole(picture), width, height, self.resample), (left, top))
        # From pixels of the canvas to pixels of the original.
        x, y = picture.width / width, picture.height / height
        steps = np.arange(max(rows, columns) + 1) * self.size
        xs, ys = ((steps - left) * x).tolist(), ((steps - top) * y).tolist()
        views = []
        for row in range(rows):
            for column in range(columns):
                edges = (column * self.size, row * self.size, (column + 1) * self.size, (row + 1) * self.size)
                box = Box(xs[column], ys[row], xs[column + 1], ys[row + 1])
                views.append(self.view(canvas.crop(edges), box))
        return views
