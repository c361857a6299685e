"""Fewer tokens: one of every r x r neighbours, in pictures whose tokens stand in a grid.

Notation: B pictures, N tokens, M = N / r² tokens after it, D width. A picture of several views (tiles) has their
tokens one view after the other, and no block of neighbours reaches across views.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from isthmus.errors import InputError


@dataclass(frozen=True)
class Reduction:
    """By `factor` r along rows and columns; `grid`: (rows, columns) of each view's tokens.

    Without `grid` the N tokens must be one square, and no picture of the batch may be padded: what the square of a
    padded picture is, its length no longer tells. Raises InputError where r does not divide the grid.
    """

    factor: int
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"tokens cannot be reduced by {self.factor}")
        if self.grid is not None:
            self._check(*self.grid)

    def count(self, n: int) -> int:
        """M for N = n. Raises InputError where n tokens are no such grids."""
        self.shape(n)
        return n // self.factor**2

    def shape(self, n: int) -> tuple[int, int, int]:
        """(views, rows, columns) of n tokens. Raises InputError as `count`."""
        if self.grid is not None:
            rows, columns = self.grid
            if n % (rows * columns):
                raise InputError(
                    f"{n} tokens are not views of {rows} x {columns}",
                    why="some would be left over",
                    todo="give the encoder's own grid, and leave its class token out",
                )
            return n // (rows * columns), rows, columns
        side = math.isqrt(n)
        if side * side != n:
            raise InputError(
                f"{n} tokens are no square",
                why="a reduction must know which tokens are neighbours",
                todo="give grid=(rows, columns), and leave the encoder's class token out",
            )
        self._check(side, side)
        return 1, side, side

    def _check(self, rows: int, columns: int) -> None:
        if rows % self.factor or columns % self.factor:
            raise InputError(
                f"a grid of {rows} x {columns} tokens cannot be reduced by {self.factor}",
                why="some would be left over",
                todo="choose a factor that divides both sides",
            )


def shuffle(tokens: Tensor, mask: Tensor, by: Reduction) -> tuple[Tensor, Tensor]:
    """Space to depth. tokens [B, N, D], mask [B, N] -> [B, M, r² D], [B, M].

    A block's tokens stand row by row in the new width. A token that is padding counts as zeros; a block is padding
    where all its tokens are. Raises InputError as Reduction.
    """
    blocks, real = _blocks(tokens, mask, by)
    return blocks.flatten(2), real.any(2)


def average(tokens: Tensor, mask: Tensor, by: Reduction) -> tuple[Tensor, Tensor]:
    """The mean of each block's tokens that are no padding: [B, N, D], [B, N] -> [B, M, D], [B, M].

    Raises InputError as Reduction.
    """
    blocks, real = _blocks(tokens, mask, by)
    return blocks.sum(2) / real.sum(2, keepdim=True).clamp(min=1).to(blocks.dtype), real.any(2)


def _blocks(tokens: Tensor, mask: Tensor, by: Reduction) -> tuple[Tensor, Tensor]:
    """[B, M, r², D] with zeros where there is no token, [B, M, r²]."""
    b, n, d = tokens.shape
    views, rows, columns = by.shape(n)
    if by.grid is None and not bool(mask.all()):
        raise InputError(
            "padded pictures have no square grid of tokens",
            why="the batch has pictures of different token counts",
            todo="give grid=(rows, columns), or pictures of one size",
        )
    r = by.factor
    split = (b, views, rows // r, r, columns // r, r)
    filled = tokens.masked_fill(~mask[..., None], 0)
    blocks = filled.view(*split, d).transpose(3, 4).reshape(b, n // r**2, r**2, d)
    return blocks, mask.view(split).transpose(3, 4).reshape(b, n // r**2, r**2)
