"""A few more tokens, which depend on the question: a small transformer reads it beside what a picture's tokens say.

Notation: B pictures, N encoder tokens, M tokens of the inner connector, T text tokens, K hints, W words, D widths.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from isthmus.connectors.align import AlignConnector
from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.names import NamesConnector
from isthmus.connectors.trainable import Trainable
from isthmus.errors import InputError
from isthmus.vision.features import Features, Frame

MATCH = 8.0
"""What a head that looks for like tokens adds where two are the same."""


@dataclass(frozen=True)
class HintShape:
    """Of the transformer and what it reads and writes. `tokens`: K."""

    tokens: int = 4
    width: int = 128
    layers: int = 3
    heads: int = 8
    width_ffn: int = 512
    row: int = 10
    """The picture's tokens come in rows of so many: a token's place is its row's and its column's."""
    longest: int = 32
    """A question has at most so many tokens."""


class HintConnector(Trainable):
    """`inner`'s tokens, then a hint, in `inner`'s words: what the question about the picture should be answered with.

    A language model too small to compare what it is told (which of two things is further left?) reads the outcome
    instead. Shapes: features.tokens [B, N, D_in] and text.ids [B, T] -> tokens [B, M + K, D_out]; scores [B, M, W] are
    inner's. The text is in the language model's own ids, `rows` [V, D_out] are its embeddings: shared with it, neither
    trained nor kept with the weights. Without text, or with an empty one, the hint is inner's first word, the one that
    says nothing. A hint is whole words, not mixtures: those the language model would repeat mangled.
    Source: InstructBLIP (Dai et al., 2023), section 2.3. There the Q-Former reads the question beside the features;
    here a transformer reads it beside words, so that it can be trained on accounts of pictures that nobody has drawn.
    """

    def __init__(
        self, inner: AlignConnector | NamesConnector, rows: Tensor, shape: HintShape, *, trainable: bool = True
    ) -> None:
        """Raises ValueError where `rows` have another width than inner's words."""
        super().__init__(trainable)
        if rows.shape[1] != inner.width_out:
            raise ValueError(f"embeddings {rows.shape[1]} wide for tokens {inner.width_out} wide")
        self.width_in, self.width_out, self.shape = inner.width_in, inner.width_out, shape
        self.inner = inner
        self.reader = _Reader(inner.num_tokens(1), self.width_out, shape)
        self._rows = (rows.detach(),)  # in a tuple, for it is not this module's to move, to train or to save
        if not rows.is_meta:
            self.reader.expect(rows)
        if not trainable:
            self.requires_grad_(False).eval()

    @property
    def hints(self) -> int:
        """K: so many of the last tokens depend on the question."""
        return self.shape.tokens

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:
        return self.inner.num_tokens(n, frame) + self.hints

    def forward(self, features: Features, text: Text | None = None) -> Tokens:
        """Raises InputError as `hint`."""
        seen = self.look(features)
        return seen.then(self.hint(seen, text))

    def look(self, features: Features) -> Tokens:
        """What depends on no question: inner's M tokens."""
        seen: Tokens = self.inner(features)
        return seen

    def hint(self, seen: Tokens, text: Text | None) -> Tokens:
        """The hint [B, K, D_out] for questions about what `look` saw, and its scores [B, K, W].

        Raises InputError where the text is longer than `shape.longest`.
        """
        mask = seen.mask.new_ones(len(seen.mask), self.hints)
        silent = self.inner.words[0].to(seen.tokens.dtype).expand(len(mask), self.hints, -1)
        if text is None:
            return Tokens(silent, mask)
        if text.ids.shape[1] > self.shape.longest:
            raise InputError(
                f"a question of {text.ids.shape[1]} tokens, but this connector takes {self.shape.longest}",
                todo="shorten the question",
            )
        rows = self._rows[0]
        asked = rows[text.ids.to(rows.device)].to(seen.tokens)
        hint = self.inner.in_words(self.reader(seen.tokens, seen.mask, asked, text.mask), mask)
        assert hint.scores is not None
        # the likeliest words themselves; gradients as if they were the mixtures (straight-through)
        likeliest = self.inner.words[hint.scores.argmax(-1)].to(hint.tokens.dtype)
        said = likeliest + hint.tokens - hint.tokens.detach()
        return replace(hint, tokens=torch.where(text.mask.any(1)[:, None, None], said, silent.to(said)))


class _Reader(nn.Module):
    """Tokens of a picture [B, M, D], of a question [B, T, D] -> [B, K, D].

    The question and K queries see each other and the picture's tokens. Half of the heads that look there look the
    harder the more alike two tokens are, so that words are found again from the start; and what the queries say is
    some mixture of the picture's tokens and something of their own, so that words can be repeated from the start.
    """

    def __init__(self, told: int, width: int, shape: HintShape) -> None:
        super().__init__()
        d = shape.width
        self.heads = shape.heads
        self.read = nn.Linear(width, d)
        self.rows = nn.Parameter(0.5 * torch.randn(-(-told // shape.row), 1, d))
        self.columns = nn.Parameter(0.5 * torch.randn(shape.row, d))
        self.found = nn.Parameter(0.5 * torch.randn(d))
        self.asked = nn.Parameter(0.5 * torch.randn(shape.longest, d))
        self.queries = nn.Parameter(0.5 * torch.randn(shape.tokens, d))
        block = nn.TransformerDecoderLayer(
            d, shape.heads, shape.width_ffn, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerDecoder(block, shape.layers, nn.LayerNorm(d))
        self.point, self.pointed = nn.Linear(d, d), nn.Linear(d, d)
        self.speak = nn.Linear(d, width)
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("spread", torch.ones(()))

    middle: Tensor
    spread: Tensor

    @torch.no_grad()
    def expect(self, rows: Tensor) -> None:
        """Weights for embeddings like these [V, D]."""
        wide = rows.float()
        self.middle.copy_(wide.mean(0))
        self.spread.copy_((wide - self.middle).square().mean().sqrt())
        nn.init.normal_(self.speak.weight, std=0.1 * float(self.spread) / self.speak.in_features**0.5)
        for linear in (self.read, self.speak):
            nn.init.zeros_(linear.bias)
        nn.init.normal_(self.read.weight, std=self.read.in_features**-0.5)

    def forward(self, told: Tensor, told_mask: Tensor, asked: Tensor, asked_mask: Tensor) -> Tensor:
        b, t = asked_mask.shape
        k = len(self.queries)
        said, question = ((each - self.middle) / self.spread for each in (told, asked))
        places = (self.rows + self.columns).flatten(0, 1)[: said.shape[1]]
        memory = self.read(said) + places
        alike = question @ said.transpose(1, 2) / question.shape[-1]
        alike = (MATCH * alike).masked_fill(~told_mask[:, None], -torch.inf)
        found = alike.amax(-1, keepdim=True) / MATCH * self.found + alike.softmax(-1) @ places
        x = torch.cat([self.read(question) + found + self.asked[:t], self.queries.expand(b, -1, -1)], dim=1)
        hidden = alike.new_zeros(b, 1, len(places)).masked_fill(~told_mask[:, None], -torch.inf)
        looking = torch.cat([alike, hidden.expand(-1, k, -1)], dim=1)
        half = self.heads // 2
        heads = [looking] * half + [hidden.expand(-1, t + k, -1)] * (self.heads - half)
        here = torch.cat([asked_mask, asked_mask.new_ones(b, k)], dim=1)
        x = self.blocks(
            x,
            memory,
            memory_mask=torch.stack(heads, dim=1).flatten(0, 1),
            tgt_key_padding_mask=alike.new_zeros(b, t + k).masked_fill(~here, -torch.inf),
        )[:, -k:]
        near = self.point(x) @ self.pointed(memory).transpose(1, 2) / x.shape[-1] ** 0.5
        near = near.masked_fill(~told_mask[:, None], -torch.inf).softmax(-1)
        spoken: Tensor = near.to(told.dtype) @ told + self.speak(x)
        return spoken
