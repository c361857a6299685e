"""Language models: what it costs to read a prompt, to choose a token, and to write the next one.

Notation: B answers at once, S tokens of the prompt, P of them read before, V vocabulary.
"""

from dataclasses import dataclass

from isthmus.errors import InputError
from isthmus.latency.blocks import Block, layers, look, look_across, think
from isthmus.latency.operations import How, Operations, Span, causal, copy, everyone, linear, norm


@dataclass(frozen=True)
class Decoder:
    """A causal language model. `tied`: embeddings and head share one matrix; `context`: tokens it reads at most.
    `last_alone`: the last layer's feed-forward reads a prompt's last position alone, as in our own models."""

    block: Block
    layers: int
    vocabulary: int
    tied: bool
    context: int | None = None
    last_alone: bool = False
    keeps_prefix = True
    """What was read before stays as it is, whatever comes behind."""

    @property
    def width(self) -> int:
        return self.block.width

    @property
    def tables(self) -> int:
        """Numbers of which only single rows are read: the embeddings, unless the head shares them."""
        return 0 if self.tied else self.vocabulary * self.width

    def prefill(self, batch: float, tokens: float, how: How, *, kept: float = 0.0) -> Operations:
        """`tokens` more of each prompt, behind `kept` that are in the cache; without the head."""
        rows = batch * tokens
        # what is not fused computes all pairs, and hides some afterwards
        span = causal(batch, tokens, kept, skip=how.causal_skip and how.fused_attention)
        return (
            *layers(self.layers, look(self.block, span, how, cached=True)),
            *layers(self.layers - 1, think(self.block, rows, how)),
            *think(self.block, batch if self.last_alone else rows, how),
            norm("norm", rows, self.width, how.unquantised, rms=self.block.rms),
        )

    def head(self, rows: float, how: How) -> Operations:
        """Logits of `rows` positions, read once to choose from: 2 R D V FLOPs."""
        return _head(rows, self.width, self.vocabulary, how)

    def token(self, batch: float, context: float, how: How) -> Operations:
        """One more token of each answer, behind `context` tokens; with the head."""
        return (*self.prefill(batch, 1, how, kept=context), *self.head(batch, how))

    def cache_bytes(self, batch: float, tokens: float, how: How) -> float:
        """Keys and values of every layer."""
        return 2 * batch * tokens * self.layers * self.block.keys * how.plain.activation


@dataclass(frozen=True)
class EncoderDecoder:
    """T5: an encoder reads the prompt both ways, a decoder writes and looks at what it made of it."""

    block: Block
    layers: int
    writing: int
    """Layers of the decoder."""
    vocabulary: int
    tied: bool
    context: int | None = None
    keeps_prefix = False

    @property
    def width(self) -> int:
        return self.block.width

    @property
    def tables(self) -> int:
        return 0 if self.tied else self.vocabulary * self.width

    def prefill(self, batch: float, tokens: float, how: How, *, kept: float = 0.0) -> Operations:
        """The encoder over the prompt, and the decoder's first step, which makes keys and values of all of it. Raises
        InputError where a part of the prompt is kept: what comes later changes it."""
        if kept:
            raise InputError("this language model keeps no prefix", why="it reads the prompt both ways")
        rows, all_ = batch * tokens, everyone(batch, tokens)
        both = Span(all_.pairs, all_.queries, all_.keys, biased=True)
        return (
            *layers(self.layers, look(self.block, both, how)),
            *layers(self.layers, think(self.block, rows, how)),
            norm("norm", rows, self.width, how.unquantised, rms=True),
            *self._write(batch, tokens, how, made=rows),
        )

    def head(self, rows: float, how: How) -> Operations:
        return _head(rows, self.width, self.vocabulary, how)

    def token(self, batch: float, context: float, how: How) -> Operations:
        return (*self._write(batch, context, how), *self.head(batch, how))

    def cache_bytes(self, batch: float, tokens: float, how: How) -> float:
        """Keys and values of the prompt in every layer of the decoder; its own few are left out."""
        return 2 * batch * tokens * self.writing * self.block.keys * how.plain.activation

    def _write(self, batch: float, context: float, how: How, *, made: float = 0.0) -> Operations:
        """The decoder's step for one token each. `made`: keys and values of so many tokens are new."""
        kept = 0.0 if made else batch * context
        across = Span(batch * context, batch, made, kept, biased=True)
        return (
            *layers(self.writing, look(self.block, causal(batch, 1), how, cached=True)),
            *layers(self.writing, look_across(self.block, across, self.width, how, rows=made)),
            *layers(self.writing, think(self.block, batch, how)),
            norm("norm", batch, self.width, how.unquantised, rms=True),
        )


def _head(rows: float, width: int, vocabulary: int, how: How) -> Operations:
    how = how.unquantised
    return (linear("head", rows, width, vocabulary, how), copy("choice", rows * vocabulary / 2, how))
