"""A small network per token, where asked for after fewer tokens were made of many."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.reduce import Reduction, average, shuffle
from isthmus.connectors.trainable import Trainable, working_dtype
from isthmus.vision.features import Features, Frame


class MlpConnector(Trainable):
    """`layers` affine maps with GELU between them, on every token alone. Two of them are LLaVA-1.5's projector.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, M, D_out], M = num_tokens(N). Text is not read.
    `reduction` makes one token of r x r neighbours first: "shuffle" joins them to one of width r² D_in and loses
    nothing, "average" takes their mean. `leading` tokens before the grid's (of a whole picture) are no neighbours and
    stay as they are: M = leading + (N - leading) / r². `hidden` is the width between the maps (None: D_out); `dropout`
    acts on what goes into each map. Raises InputError as Reduction does.
    Sources: LLaVA-1.5 (Liu et al., 2024); pixel shuffle: InternVL 1.5 (Chen et al., 2024), in the order of Idefics3
    (Laurençon et al., 2024).
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        *,
        layers: int = 2,
        hidden: int | None = None,
        bias: bool = True,
        reduction: Literal["shuffle", "average"] | None = None,
        factor: int = 1,
        grid: tuple[int, int] | None = None,
        leading: int = 0,
        dropout: float = 0.0,
        trainable: bool = True,
    ) -> None:
        """`factor` is r; `grid`: (rows, columns) of a view's tokens, None where N is a square (see Reduction).

        Raises ValueError for less than one layer, where `reduction` and `factor` are not given together, and for
        leading tokens beside joined ones, which are wider.
        """
        super().__init__(trainable)
        if layers < 1:
            raise ValueError(f"an MLP has at least one layer, not {layers}")
        if (reduction is None) != (factor == 1) or (reduction is None and grid is not None):
            raise ValueError(f"reduction {reduction} by {factor}: give a kind and a factor above 1, or neither")
        if leading and reduction != "average":
            raise ValueError(f"{leading} leading tokens go with reduction average, not {reduction}")
        self.width_in, self.width_out = width_in, width_out
        self.kind = reduction
        self.reduction = Reduction(factor, grid)
        self.leading = leading
        first = width_in * factor**2 if reduction == "shuffle" else width_in
        widths = [first] + [hidden or width_out] * (layers - 1) + [width_out]
        self.maps = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in pairwise(widths))
        self.dropout = nn.Dropout(dropout)
        self.built()

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:  # noqa: ARG002  the protocol's
        return n if self.kind is None else self.leading + self.reduction.count(n - self.leading)

    def forward(self, features: Features, text: Text | None = None) -> Tokens:  # noqa: ARG002  the protocol's
        x, mask = self._reduced(features)
        for i, each in enumerate(self.maps):
            x = each(self.dropout(nn.functional.gelu(x) if i else x))
        return Tokens(x, mask)

    def _reduced(self, features: Features) -> tuple[Tensor, Tensor]:
        tokens = features.tokens.to(working_dtype(next(self.parameters())))
        match self.kind:
            case None:
                return tokens, features.mask
            case "shuffle":
                return shuffle(tokens, features.mask, self.reduction)
            case "average":
                first, mask = tokens[:, : self.leading], features.mask
                means, real = average(tokens[:, self.leading :], mask[:, self.leading :], self.reduction)
                return torch.cat([first, means], dim=1), torch.cat([mask[:, : self.leading], real], dim=1)
