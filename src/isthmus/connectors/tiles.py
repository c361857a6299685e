"""LLaVA-NeXT's connector: a network per token, then a picture's tiles laid out as the one picture they were cut from.

Notation: B pictures, N encoder tokens, M connector tokens, S side of a view's grid of tokens, D widths.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.trainable import Trainable
from isthmus.errors import InputError
from isthmus.vision.features import Features, Frame

LINE_END = -1
"""In place of an encoder token's number: the learned token that ends a row."""


class TilesConnector(Trainable):
    """LLaVA-1.5's MLP on every token; then the overview's tokens, row by row, and behind them those of the tiles as
    rows of the whole picture, each ended by a learned token. Rows and columns that hold only padding are left out.

    Shapes: features.tokens [B, N, D_in], N = S² (1 + tiles) -> tokens [B, M, D_out], M = num_tokens(N, frame). A
    picture without tiles ends with one learned token. Text is not read. `side` is S. `bias`: of the MLP.
    Source: LLaVA-NeXT (Liu et al., 2024) and its released code, merge type "spatial_unpad".
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        *,
        side: int,
        bias: bool = True,
        dropout: float = 0.0,
        trainable: bool = True,
    ) -> None:
        super().__init__(trainable)
        self.width_in, self.width_out, self.side = width_in, width_out, side
        self.project = MlpConnector(width_in, width_out, bias=bias, dropout=dropout, trainable=trainable)
        self.line_end = nn.Parameter(torch.randn(width_out) * width_out**-0.5)
        self.built()

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:
        """Raises InputError without a frame, or where n tokens are not its views'."""
        return len(self.order(n, frame))

    def order(self, n: int, frame: Frame | None) -> tuple[int, ...]:
        """For each of the M tokens, the number of the encoder token it was made of, or LINE_END. Raises as
        num_tokens."""
        if frame is None:
            raise InputError(
                "a picture's size is not known",
                why="its tiles cannot be put together without",
                todo="give the features as the encoder made them, with their frames",
            )
        rows, columns = frame.grid or (0, 0)
        if n != self.side**2 * (1 + rows * columns):
            raise InputError(
                f"a picture has {n} tokens",
                why=f"an overview and {rows} x {columns} tiles of {self.side} x {self.side} have another number",
                todo="use the Fit that the model was made with, and leave the encoder's class token out",
            )
        return _order(self.side, frame)

    def forward(self, features: Features, text: Text | None = None) -> Tokens:  # noqa: ARG002  the protocol's
        """Raises InputError as num_tokens."""
        frames = features.frames or (None,) * len(features.tokens)
        counts: list[int] = features.mask.sum(1).tolist()
        orders = [torch.tensor(self.order(n, frame)) for n, frame in zip(counts, frames, strict=True)]
        x = self.project(features).tokens
        end = self.line_end.to(x.dtype).expand(len(x), 1, -1)
        # The line end stands behind the others, where -1 finds it.
        return _gathered(torch.cat([x, end], dim=1), orders)


def _gathered(x: Tensor, orders: list[Tensor]) -> Tokens:
    """x [B, N + 1, D], for each picture the places of its tokens [M_i] -> Tokens, zeros behind the shorter ones."""
    index = nn.utils.rnn.pad_sequence(orders, batch_first=True).to(x.device)
    lengths = torch.tensor([len(order) for order in orders], device=x.device)
    mask = torch.arange(index.shape[1], device=x.device) < lengths[:, None]
    taken = x[torch.arange(len(x), device=x.device)[:, None], index]
    return Tokens(taken.masked_fill(~mask[..., None], 0), mask)


@lru_cache(maxsize=1024)
def _order(side: int, frame: Frame) -> tuple[int, ...]:
    overview = list(range(side**2))
    if frame.grid is None:
        return (*overview, LINE_END)
    rows, columns = frame.grid
    top, left = _padding(frame, rows * side, columns * side)
    placed = overview
    for y in range(top, rows * side - top):
        for x in range(left, columns * side - left):
            tile = 1 + y // side * columns + x // side
            placed.append(tile * side**2 + y % side * side + x % side)
        placed.append(LINE_END)
    return tuple(placed)


def _padding(frame: Frame, height: int, width: int) -> tuple[int, int]:
    """(rows above and below, columns left and right) of height x width tokens that only padding fills.

    Rounded to seven digits before it is cut off, as the original does: else a float's last digit decides.
    """
    if frame.width / frame.height > width / height:
        used = int(round(frame.height * (width / frame.width), 7))
        return (height - used) // 2, 0
    used = int(round(frame.width * (height / frame.height), 7))
    return 0, (width - used) // 2
