"""Split: the picture pulled to a whole number of tiles, then all of it once more as an overview."""

import math
from dataclasses import dataclass

from PIL import Image

from isthmus.errors import InputError
from isthmus.images.fits import HALF, OVERSAMPLING, Sampling, require_positive, whole
from isthmus.images.pixels import FILTERS, Resample, resample
from isthmus.images.views import Box, Picture, View, Views


@dataclass(frozen=True, kw_only=True)
class Split(Sampling):
    """Tiles as Idefics3 and SmolVLM make them: views [3, size, size], the tiles row by row, the squashed overview last;
    `Views.grid` is their (rows, columns), None where the overview is alone.

    The longest side becomes `longest` pixels, small pictures are enlarged too; then both sides are stretched to whole
    tiles, so no tile holds padding. With `tiles` False there is only the overview.
    Source: Idefics3 (Laurençon et al., 2024), section 3; SmolVLM (Marafioti et al., 2025).
    """

    size: int = 512
    longest: int = 2048
    tiles: bool = True
    resample: Resample = "lanczos"
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.size, self.longest)
        if self.longest > 4096:
            raise InputError(f"a longest side of {self.longest} pixels is too long", todo="4096 at most")

    @property
    def at_least(self) -> int:
        return OVERSAMPLING * self.longest

    def __call__(self, picture: Picture) -> Views:
        scaled = resample(picture, whole(picture), *self._scaled(picture.width, picture.height), self.resample)
        if not self.tiles:
            return self._views(picture, [], scaled, None)
        columns, rows = self._grid(*scaled.size)
        # Each step rounds to 8 bits, as the original's does.
        scaled = scaled.resize((columns * self.size, rows * self.size), FILTERS[self.resample][0])
        if rows == columns == 1:
            return self._views(picture, [], scaled, None)
        x, y = picture.width / columns, picture.height / rows  # of a tile, in pixels of the original
        tiles = []
        for row in range(rows):
            for column in range(columns):
                left, top = column * self.size, row * self.size
                box = Box(column * x, row * y, (column + 1) * x, (row + 1) * y)
                tiles.append(self.view(scaled.crop((left, top, left + self.size, top + self.size)), box))
        return self._views(picture, tiles, scaled, (rows, columns))

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """The (rows, columns) for a picture of that size; (1, 1) where the overview is alone."""
        if not self.tiles:
            return 1, 1
        columns, rows = self._grid(*self._scaled(width, height))
        return rows, columns

    def _views(self, picture: Picture, tiles: list[View], scaled: Image.Image, grid: tuple[int, int] | None) -> Views:
        squashed = scaled.resize((self.size, self.size), FILTERS[self.resample][0])
        return Views((*tiles, self.view(squashed, whole(picture))), picture.width, picture.height, grid)

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """(width, height): the longest side as asked for, the other one in proportion and even."""
        ratio = width / height
        if width >= height:
            other = int(self.longest / ratio)
            return self.longest, max(other + other % 2, 1)
        other = int(self.longest * ratio)
        return max(other + other % 2, 1), self.longest

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """(columns, rows): whole tiles along the longest side, then as many as its proportion asks for."""
        ratio = width / height
        if width >= height:
            columns = math.ceil(width / self.size)
            return columns, max(math.ceil(int(columns * self.size / ratio) / self.size), 1)
        rows = math.ceil(height / self.size)
        return max(math.ceil(int(rows * self.size * ratio) / self.size), 1), rows
