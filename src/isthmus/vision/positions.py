"""Where a patch is: a learned table resized to the picture's grid, or 2-D rotary angles."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["bicubic", "bicubic_antialias", "bilinear_antialias"]
"""How a family resizes its position table. CLIP, SigLIP, DINOv2: bicubic; DINOv2 with registers: bicubic_antialias;
SigLIP 2 NaFlex: bilinear_antialias. The wrong one shifts every token a little and no shape tells."""


def resize_positions(table: Tensor, side: int, grid: tuple[int, int], how: Interpolation) -> Tensor:
    """A table [side side, D], row by row, resized to grid (rows, columns): [rows columns, D], in the table's dtype.

    Computed in float32: half-precision cubic weights lose two digits, and antialiasing knows no bfloat16 on a CPU.
    """
    rows, columns = grid
    if (rows, columns) == (side, side):
        return table
    square = table.float().view(1, side, side, -1).permute(0, 3, 1, 2)
    mode, _, antialias = how.partition("_")
    resized = F.interpolate(square, size=(rows, columns), mode=mode, align_corners=False, antialias=bool(antialias))
    return resized.permute(0, 2, 3, 1).reshape(rows * columns, -1).to(table.dtype)


def rotary_angles(grid: tuple[int, int], head: int, theta: float, device: torch.device) -> Tensor:
    """Angles [rows columns, head], float32: the first half of the pairs turns with the row, the second with the
    column.

    Channel i is paired with channel i + head/2, so the angles of a half stand twice. Frequencies fall geometrically
    from 1 to 1/theta. Source: RoFormer (Su et al., 2021); in two dimensions as in Qwen2-VL (Wang et al., 2024).
    """
    rows, columns = grid
    frequency = theta ** -(torch.arange(0, head // 2, 2, dtype=torch.float32, device=device) / (head // 2))
    down = torch.arange(rows, device=device)[:, None, None] * frequency
    across = torch.arange(columns, device=device)[None, :, None] * frequency
    half = torch.cat([down.expand(rows, columns, -1), across.expand(rows, columns, -1)], dim=-1).flatten(0, 1)
    return torch.cat([half, half], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [S, heads, D/heads] turned by angles whose cos and sin are [S, 1, D/heads]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin
