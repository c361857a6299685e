"""Any number of encoder tokens -> a fixed number, by learned queries that look at them.

Notation: B pictures, N encoder tokens, M queries, D inner width.
"""

import torch
from torch import Tensor, nn

from isthmus.connectors.attention import attend
from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.trainable import Trainable, working_dtype
from isthmus.vision.features import Features, Frame


class ResamplerConnector(Trainable):
    """M learned queries read the picture in `layers` blocks of cross-attention and feed-forward, norms before each.

    Keys and values are the features *and* the queries themselves, so queries also see each other. Shapes:
    features.tokens [B, N, D_in] -> tokens [B, M, D_out], all of them real. Text is not read. `width` is D (None:
    D_out); `dropout` acts on what each block adds. No positions are added: the encoder's tokens carry theirs.
    Sources: Perceiver (Jaegle et al., 2021); Flamingo (Alayrac et al., 2022), section 2.1 and appendix A.1.1.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        *,
        queries: int = 64,
        layers: int = 2,
        heads: int = 8,
        width: int | None = None,
        dropout: float = 0.0,
        trainable: bool = True,
    ) -> None:
        """Raises ValueError where `heads` does not divide the inner width."""
        super().__init__(trainable)
        self.width_in, self.width_out = width_in, width_out
        inner = width or width_out
        if inner % heads:
            raise ValueError(f"a width of {inner} cannot be split into {heads} heads")
        self.enter = nn.Linear(width_in, inner)
        self.queries = nn.Parameter(torch.randn(queries, inner) * 0.02)
        self.blocks = nn.ModuleList(_Block(inner, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(inner)
        self.project = nn.Linear(inner, width_out)
        self.built()

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:  # noqa: ARG002  always as many
        return len(self.queries)

    def forward(self, features: Features, text: Text | None = None) -> Tokens:  # noqa: ARG002  the protocol's
        picture = self.enter(features.tokens.to(working_dtype(self.enter.weight)))
        x = self.queries.expand(len(picture), -1, -1)
        mine = features.mask.new_ones(x.shape[:2])
        mask = torch.cat([features.mask, mine], dim=1)[:, None]
        for block in self.blocks:
            x = block(x, picture, mask)
        return Tokens(self.project(self.norm(x)), mine)


class _Block(nn.Module):
    """x [B, M, D], picture [B, N, D], mask [B, 1, N + M] -> [B, M, D]."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_picture, self.norm_queries, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, picture: Tensor, mask: Tensor) -> Tensor:
        queries = self.norm_queries(x)
        k, v = self.kv(torch.cat([self.norm_picture(picture), queries], dim=1)).chunk(2, dim=-1)
        x = x + self.dropout(self.out(attend(self.q(queries), k, v, mask, heads=self.heads)))
        added: Tensor = self.dropout(self.down(nn.functional.gelu(self.up(self.norm_mlp(x)))))
        return x + added
