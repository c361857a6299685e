"""A text transformer for dual encoders: one module, four families told apart by a frozen TextConfig.

Ours because a photo search pays for its imports: docs/contrastive.md says what `transformers` costs at
start-up. Notation: B texts, T tokens, D width.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["gelu", "gelu_tanh", "quick_gelu"]
Pool = Literal["eos", "highest", "last", "first", "tanh", "mean"]


@dataclass(frozen=True)
class TextConfig:
    """Shape and habits of a text tower.

    | family | norm | attention | positions | pool |
    |---|---|---|---|---|
    | CLIP (Radford et al., 2021) | pre | causal | from 0 | "eos"; "highest" for configs before July 2023 |
    | SigLIP (Zhai et al., 2023), SigLIP 2 (Tschannen et al., 2025) | pre | both ways | from 0 | "last" |
    | BERT (Devlin et al., 2019) | post | both ways | from 0 | "first" (Chinese-CLIP), "tanh", "mean" |
    | XLM-R (Conneau et al., 2020) | post | both ways | from `padding` + 1 | "tanh", "mean" |
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    positions: int
    """Rows of the position table; `max_tokens` of them can be used."""
    activation: Activation
    epsilon: float
    norm: Literal["pre", "post"]
    pool: Pool
    causal: bool = False
    eos: int | None = None
    """Token id whose first place is pooled; needed by pool "eos"."""
    token_types: int = 0
    """Rows of BERT's segment table (0: no such table); one text alone is always segment 0."""
    padding: int | None = None
    """XLM-R counts positions from `padding` + 1 and gives padding itself position `padding`; None: from 0."""
    head: int | None = None
    """Width of a final linear map with bias after pooling (SigLIP), None: no such map."""

    @property
    def max_tokens(self) -> int:
        """The longest text the position table allows, special tokens included."""
        return self.positions if self.padding is None else self.positions - self.padding - 1

    @property
    def width_out(self) -> int:
        """Width of `Encoded.pooled`."""
        return self.head if self.head is not None else self.width


@dataclass(frozen=True)
class Encoded:
    """states [B, T, D]: the last layer's; pooled [B, D_out]: one vector a text, not normalised."""

    states: Tensor
    pooled: Tensor


class TextTransformer(nn.Module):
    """ids [B, T] int64 (right-padded), mask [B, T] bool (True: a token; None: no padding) -> Encoded.

    Raises ValueError where T is more than `config.max_tokens`.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = _table(config.vocabulary, config.width)
        self.positions = _table(config.positions, config.width)
        self.types = _table(config.token_types, config.width) if config.token_types else None
        # The one norm outside the blocks: before them in a post-norm tower, behind them in a pre-norm one.
        self.norm = nn.LayerNorm(config.width, eps=config.epsilon)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.pooler = nn.Linear(config.width, config.width) if config.pool == "tanh" else None
        self.head = nn.Linear(config.width, config.head) if config.head is not None else None

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Encoded:
        if ids.shape[1] > self.config.max_tokens:
            raise ValueError(f"{ids.shape[1]} tokens, but this text tower takes {self.config.max_tokens}")
        x = self.tokens(ids) + self.positions(self._places(ids))
        if self.types is not None:
            x = x + self.types.weight[0]
        if self.config.norm == "post":
            x = self.norm(x)
        # Causal towers need no padding mask: nothing left of the pooled token sees the padding on its right.
        keys = None if mask is None or self.config.causal else mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, keys)
        if self.config.norm == "pre":
            x = self.norm(x)
        pooled = self._pool(x, ids, mask)
        return Encoded(x, pooled if self.head is None else self.head(pooled))

    def _places(self, ids: Tensor) -> Tensor:
        if self.config.padding is None:
            return torch.arange(ids.shape[1], device=ids.device)
        real = ids.ne(self.config.padding).long()
        return real.cumsum(1) * real + self.config.padding

    def _pool(self, x: Tensor, ids: Tensor, mask: Tensor | None) -> Tensor:
        match self.config.pool:
            case "last":
                return x[:, -1]
            case "first":
                return x[:, 0]
            case "tanh":
                assert self.pooler is not None
                return torch.tanh(self.pooler(x[:, 0]))
            case "mean":
                weight = torch.ones_like(ids, dtype=torch.float32) if mask is None else mask.float()
                total = (x.float() * weight[..., None]).sum(1)
                return (total / weight.sum(1, keepdim=True).clamp(min=1)).to(x.dtype)
            case "eos":
                found = ids.eq(self.config.eos) if self.config.eos is not None else ids
                place = found.int().argmax(1)  # argmax gives the first of equals: later ones are padding
            case "highest":
                # The end token has CLIP's highest id; configs that call it 2 are wrong and were pooled so.
                place = ids.argmax(1)
        return x[torch.arange(len(x), device=x.device), place]


class Block(nn.Module):
    """Self-attention and MLP with residuals; norms before each (pre) or behind each sum (post).

    Shapes: x [B, T, D], keys [B, 1, 1, T] bool or None -> [B, T, D].
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, self.causal, self.pre = config.heads, config.causal, config.norm == "pre"
        self.activation = config.activation
        self.norm1 = nn.LayerNorm(config.width, eps=config.epsilon)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=config.epsilon)
        self.up = nn.Linear(config.width, config.hidden)
        self.down = nn.Linear(config.hidden, config.width)

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        if self.pre:
            x = x + self._attend(self.norm1(x), keys)
            x = x + self._mlp(self.norm2(x))
        else:
            x = self.norm1(x + self._attend(x, keys))
            x = self.norm2(x + self._mlp(x))
        return x

    def _attend(self, x: Tensor, keys: Tensor | None) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=keys, is_causal=self.causal)
        summed: Tensor = self.out(y.transpose(1, 2).reshape(b, t, d))
        return summed

    def _mlp(self, x: Tensor) -> Tensor:
        down: Tensor = self.down(activate(self.up(x), self.activation))
        return down


def activate(x: Tensor, activation: Activation) -> Tensor:
    """GELU exact, by tanh, or OpenAI's x·sigmoid(1.702 x)."""
    match activation:
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "quick_gelu":
            return x * torch.sigmoid(1.702 * x)


def _table(rows: int, width: int) -> nn.Embedding:
    weight = torch.empty(rows, width)
    if not weight.is_meta:  # on "meta" normal_ would import sympy: .9 s of a start-up, for values never used
        nn.init.normal_(weight, std=0.02)
    return nn.Embedding(rows, width, _weight=weight)
