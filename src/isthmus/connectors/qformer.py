"""BLIP-2's Querying Transformer: a BERT in which learned queries read a picture, and may read a text beside it.

Notation: B pictures, N encoder tokens, M queries, T text tokens, S = M + T, D inner width. Text is right-padded and
counts its positions from 0; queries have no positions and stand before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.connectors.attention import attend
from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.masks import bidirectional
from isthmus.connectors.trainable import Trainable, working_dtype
from isthmus.errors import InputError
from isthmus.vision.features import Features, Frame


@dataclass(frozen=True)
class QFormerConfig:
    """Shape of a Q-Former; what is left out is BLIP-2's. `width_in` is the encoder's, `width_out` the language
    model's."""

    width_in: int
    width_out: int
    width: int = 768
    layers: int = 12
    heads: int = 12
    width_ffn: int = 3072
    queries: int = 32
    cross_every: int = 2
    """Layers 0, cross_every, 2 cross_every … look at the picture."""
    vocabulary: int = 0
    """Rows of the word table; 0: no text side, neither tables nor the text's feed-forward."""
    max_text: int = 512
    epsilon: float = 1e-12
    dropout: float = 0.1
    """Of embeddings, attention weights and what each block adds."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"a width of {self.width} cannot be split into {self.heads} heads")


@dataclass(frozen=True)
class Memory:
    """A picture as the cross-attention layers see it, to be read once and used in several passes.

    keys_values: for each of those layers [B, N, 2 D], keys first; mask [B, 1, N] bool.
    """

    keys_values: Sequence[Tensor]
    mask: Tensor


@dataclass(frozen=True)
class States:
    """The last layer's: queries [B, M, D], text [B, T, D]; each has length 0 where it did not take part."""

    queries: Tensor
    text: Tensor


class QFormerConnector(Trainable):
    """A Q-Former, then one affine map to the language model's width.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, M, D_out], all of them real, whatever N. With `text` its
    tokens go through the same self-attention (InstructBLIP's question) and only queries come out.
    Parameters that BLIP-2's second stage trains, 32 queries and no text side, from ViT-g (1408 wide): queries 24,576;
    embedding norm 1,536; 12 self-attentions of 2,363,904; 6 cross-attentions of 3,346,944; 12 feed-forwards of
    4,723,968; the map 769 D_out. In all 107,130,880 for OPT-2.7B (D_out 2560), 106,737,152 for FLAN-T5-XL (2048),
    108,312,064 for 4096 wide (OPT-6.7B, FLAN-T5-XXL).
    Sources: BLIP-2 (Li et al., 2023), section 3.3; InstructBLIP (Dai et al., 2023), section 2.3.
    """

    def __init__(self, config: QFormerConfig, *, trainable: bool = True) -> None:
        super().__init__(trainable)
        self.width_in, self.width_out = config.width_in, config.width_out
        self.qformer = QFormer(config)
        self.project = nn.Linear(config.width, config.width_out)
        self.built()

    @property
    def config(self) -> QFormerConfig:
        return self.qformer.config

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:  # noqa: ARG002  always as many
        return self.config.queries

    def forward(self, features: Features, text: Text | None = None) -> Tokens:
        """Raises InputError as QFormer."""
        queries = self.qformer(self.qformer.read(features.tokens, features.mask), text).queries
        return Tokens(self.project(queries), features.mask.new_ones(queries.shape[:2]))


class QFormer(nn.Module):
    """The transformer alone, as BLIP-2's first stage trains it (objectives.Stage1).

    Post-norm blocks: self-attention that queries and text share, cross-attention to the picture for queries only, a
    feed-forward for queries and another for text.
    """

    def __init__(self, config: QFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.empty(1, config.queries, config.width))
        self.words = _table(config.vocabulary, config.width) if config.vocabulary else None
        self.positions = _table(config.max_text, config.width) if config.vocabulary else None
        self.norm = nn.LayerNorm(config.width, eps=config.epsilon)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(_Block(config, i % config.cross_every == 0) for i in range(config.layers))
        if not self.queries.is_meta:
            nn.init.normal_(self.queries, std=0.02)
            self.apply(start)

    def read(self, tokens: Tensor, mask: Tensor) -> Memory:
        """Keys and values of every cross-attention layer, of Features' tokens [B, N, D_in] and mask [B, N]."""
        layers = [block.cross for block in self.blocks if isinstance(block, _Block) and block.cross is not None]
        tokens = tokens.to(working_dtype(self.queries))
        return Memory([layer.kv(tokens) for layer in layers], mask[:, None])

    def forward(self, memory: Memory | None, text: Text | None = None, mask: Tensor | None = None) -> States:
        """Queries over the picture (memory None: no queries, the text alone) and text, under `mask` [B, S, S] bool
        (None: everything but padding is seen).

        Raises InputError where text is given and there is no text side, or it is longer than `max_text`.
        """
        m = 0 if memory is None else self.config.queries
        parts = []
        if memory is not None:
            parts.append(self.queries.expand(len(memory.mask), -1, -1))
        if text is not None:
            parts.append(self._embed(text.ids))
            mask = bidirectional(m, text.mask) if mask is None else mask
        if not parts:
            raise ValueError("a Q-Former needs a picture, a text, or both")
        x = self.dropout(self.norm(torch.cat(parts, dim=1)))
        layers = iter(memory.keys_values if memory is not None else ())
        for block in self.blocks:
            assert isinstance(block, _Block)
            picture = (next(layers), memory.mask) if memory is not None and block.cross is not None else None
            x = block(x, m, mask, picture)
        return States(x[:, :m], x[:, m:])

    def _embed(self, ids: Tensor) -> Tensor:
        """[B, T] -> [B, T, D], words and positions."""
        if self.words is None or self.positions is None:
            raise InputError(
                "this Q-Former reads no text",
                why="it has no word embeddings, as BLIP-2's have none after their first stage",
                todo="leave the text out, or use InstructBLIP's",
            )
        t = ids.shape[1]
        if t > self.config.max_text:
            raise InputError(
                f"{t} text tokens, but this Q-Former takes {self.config.max_text}", todo="shorten the text"
            )
        embedded: Tensor = self.words(ids) + self.positions.weight[:t]
        return embedded


def without_text(connector: QFormerConnector) -> QFormerConnector:
    """The same connector, its weights shared, less what only text uses: as BLIP-2 goes on to its second stage."""
    with torch.device("meta"):
        less = QFormerConnector(replace(connector.config, vocabulary=0), trainable=connector.trainable)
    kept = dict(connector.named_parameters())
    less.load_state_dict({name: kept[name] for name in less.state_dict()}, assign=True)
    return less.train(connector.training)


class _Block(nn.Module):
    """x [B, S, D], its first `queries` places the queries -> [B, S, D].

    mask [B, S, S] or None; picture: this layer's keys and values [B, N, 2 D] and their mask [B, 1, N].
    """

    def __init__(self, config: QFormerConfig, crosses: bool) -> None:
        super().__init__()
        self.attention = _SelfAttention(config)
        self.cross = _CrossAttention(config) if crosses else None
        self.ffn_queries = _FeedForward(config)
        self.ffn_text = _FeedForward(config) if config.vocabulary else None

    def forward(self, x: Tensor, queries: int, mask: Tensor | None, picture: tuple[Tensor, Tensor] | None) -> Tensor:
        x = self.attention(x, mask)
        parts = []
        if queries:
            q = x[:, :queries]
            if self.cross is not None and picture is not None:
                q = self.cross(q, *picture)
            parts.append(self.ffn_queries(q))
        if x.shape[1] > queries:
            assert self.ffn_text is not None
            parts.append(self.ffn_text(x[:, queries:]))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class _SelfAttention(nn.Module):
    def __init__(self, config: QFormerConfig) -> None:
        super().__init__()
        self.heads, self.rate = config.heads, config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.epsilon)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        rate = self.rate if self.training else 0.0
        y = self.out(attend(q, k, v, mask, heads=self.heads, dropout=rate))
        summed: Tensor = self.norm(x + F.dropout(y, self.rate, self.training))
        return summed


class _CrossAttention(nn.Module):
    def __init__(self, config: QFormerConfig) -> None:
        super().__init__()
        self.heads, self.rate = config.heads, config.dropout
        self.q = nn.Linear(config.width, config.width)
        self.kv = nn.Linear(config.width_in, 2 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.epsilon)

    def forward(self, x: Tensor, keys_values: Tensor, mask: Tensor) -> Tensor:
        k, v = keys_values.chunk(2, dim=-1)
        rate = self.rate if self.training else 0.0
        y = self.out(attend(self.q(x), k, v, mask, heads=self.heads, dropout=rate))
        summed: Tensor = self.norm(x + F.dropout(y, self.rate, self.training))
        return summed


class _FeedForward(nn.Module):
    def __init__(self, config: QFormerConfig) -> None:
        super().__init__()
        self.rate = config.dropout
        self.up = nn.Linear(config.width, config.width_ffn)
        self.down = nn.Linear(config.width_ffn, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(F.gelu(self.up(x)))
        summed: Tensor = self.norm(x + F.dropout(y, self.rate, self.training))
        return summed


def start(module: nn.Module) -> None:
    """BERT's initial values: weights normal of deviation .02, biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def _table(rows: int, width: int) -> nn.Embedding:
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))  # filled by `start`
