"""Pictures of several sizes in one sequence: which order, which runs of equal length, and the way back.

The mechanism: pictures are sorted by length once, so those of equal length stand side by side, and a run of `count`
pictures of `length` tokens is a view [count, length, ...] of the sequence, without a copy. Every linear layer sees
the whole sequence at once; attention runs once per distinct length and needs no mask, so its cost and memory are the
sum of the pictures' own, and nothing of one picture can reach another. docs/vision.md holds it against masks and
padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from isthmus.errors import InputError

Grid = tuple[int, int]
"""(rows, columns) of patches."""


def patchify(pixels: Tensor, patch: int) -> tuple[Tensor, Grid]:
    """pixels [B, C, H, W] -> patches [B, rows columns, C P P], row by row, and the grid.

    Each patch is laid out as a convolution's kernel is, (C, P, P), so a convolution's weight serves as the matrix.
    What does not fill a patch at the right and the bottom is left out. Raises InputError for a picture smaller than a
    patch.
    """
    batch, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    if not rows or not columns:
        raise InputError(f"a picture of {width} x {height} pixels is smaller than a patch of {patch}")
    cut = pixels[:, :, : rows * patch, : columns * patch]
    blocks = cut.reshape(batch, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
    return blocks.reshape(batch, rows * columns, channels * patch * patch), (rows, columns)


@dataclass(frozen=True)
class Packing:
    """How B pictures stand in one sequence. `order[i]` is the picture at place i; the rest follows that order.

    `grids`: runs (grid, count) of equal grids. `lengths`: runs (length, count) of equal token counts, where length
    includes the prefix tokens.
    """

    order: tuple[int, ...]
    sizes: tuple[int, ...]
    """Patches of each picture, as given."""
    prefix: int
    grids: tuple[tuple[Grid, int], ...]
    lengths: tuple[tuple[int, int], ...]

    @staticmethod
    def of(grids: Sequence[Grid], prefix: int) -> "Packing":
        """The packing for pictures of these grids, each with `prefix` tokens before its patches."""
        if not grids or min(min(grid) for grid in grids) < 1:
            raise InputError("there is nothing to encode", why="no pictures, or one without patches")
        order = sorted(range(len(grids)), key=lambda i: (grids[i][0] * grids[i][1], grids[i]))
        by_grid = [(grid, len(list(run))) for grid, run in groupby(grids[i] for i in order)]
        by_length = groupby(rows * columns + prefix for rows, columns in (grids[i] for i in order))
        return Packing(
            order=tuple(order),
            sizes=tuple(rows * columns for rows, columns in grids),
            prefix=prefix,
            grids=tuple(by_grid),
            lengths=tuple((length, len(list(run))) for length, run in by_length),
        )

    @property
    def patches(self) -> int:
        """Patches of all pictures."""
        return sum(self.sizes)

    def by_grid(self, x: Tensor) -> Iterator[tuple[Tensor, Grid, int]]:
        """The runs of x [patches, ...] with equal grids, each with its grid and its number of pictures."""
        parts = torch.split(x, [rows * columns * count for (rows, columns), count in self.grids])
        for part, (grid, count) in zip(parts, self.grids, strict=True):
            yield part, grid, count

    def by_length(self, x: Tensor) -> Iterator[Tensor]:
        """The runs of x [S, ...] with equal lengths, each as a view [count, length, ...]."""
        parts = torch.split(x, [length * count for length, count in self.lengths])
        for part, (length, count) in zip(parts, self.lengths, strict=True):
            yield part.view(count, length, *x.shape[1:])

    def sort_patches(self, patches: Tensor) -> Tensor:
        """[patches, ...] from the given order into packing order."""
        return _reorder(patches, self.sizes, self.order)

    def unsort_tokens(self, tokens: Tensor) -> Tensor:
        """[S, ...] from packing order back into the given order."""
        return _reorder(tokens, [self.sizes[i] + self.prefix for i in self.order], self._places)

    def unsort_pictures(self, rows: Tensor) -> Tensor:
        """[B, ...] from packing order back into the given order."""
        if self._in_order:
            return rows
        return rows[torch.tensor(self._places, device=rows.device)]

    @property
    def _places(self) -> list[int]:
        """The place of each picture: the inverse of `order`."""
        return sorted(range(len(self.order)), key=self.order.__getitem__)

    @property
    def _in_order(self) -> bool:
        return self.order == tuple(range(len(self.order)))


def _reorder(x: Tensor, sizes: Sequence[int], order: Sequence[int]) -> Tensor:
    """Cut x into pieces of `sizes` and join them in `order`; no copy where the order is already right."""
    if list(order) == list(range(len(order))):
        return x
    pieces = torch.split(x, list(sizes))
    return torch.cat([pieces[i] for i in order])
