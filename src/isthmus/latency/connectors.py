"""Encoder tokens to tokens of the language model: maps per token, with neighbours joined or not, and the Q-Former."""

from dataclasses import dataclass
from itertools import pairwise

from isthmus.latency.blocks import Block, layers, look, look_across, think
from isthmus.latency.operations import (
    How,
    Operation,
    Operations,
    Span,
    activate,
    everyone,
    linear,
    look_up,
    norm,
)
from isthmus.latency.sights import Sight


@dataclass(frozen=True)
class Mlp:
    """Maps from width to width with GELU between, on every patch; `merge` x `merge` neighbours are joined first.
    `normed`: a norm before (`rms` or not); `times`: so many of them side by side (Qwen3-VL's, on several layers)."""

    widths: tuple[int, ...]
    merge: int = 1
    normed: bool = False
    rms: bool = False
    times: int = 1

    tables: int = 0

    def operations(self, sight: Sight, text: float, batch: int, how: How) -> Operations:  # noqa: ARG002  reads no text
        rows = batch * sight.views * sight.patches / self.merge**2
        out = [norm("norm", rows, self.widths[0], how, rms=self.rms)] if self.normed else []
        for i, (width_in, width_out) in enumerate(pairwise(self.widths)):
            if i:
                out.append(activate("activation", rows, width_in, "plain", how))
            out.append(linear(f"map {i + 1}", rows, width_in, width_out, how))
        return layers(self.times, tuple(out))


@dataclass(frozen=True)
class QFormer:
    """`queries` look at each other, in every `cross_every`-th layer at the encoder's `seen` wide tokens, and `prefix`
    of these are no patch. `reads`: the question stands beside the queries and has feed-forwards of its own."""

    block: Block
    layers: int
    queries: int
    seen: int
    width_out: int
    prefix: int = 0
    cross_every: int = 2
    reads: bool = False
    tables: int = 0
    """Numbers in the tables of words and positions, of which a few rows are read."""

    def operations(self, sight: Sight, text: float, batch: int, how: How) -> Operations:
        asked = text if self.reads else 0.0
        rows, questions = batch * self.queries, batch * asked
        picture = batch * sight.views * (sight.patches + self.prefix)
        crossing = -(-self.layers // self.cross_every)
        across = Span(rows * sight.views * (sight.patches + self.prefix), rows, picture)
        out: list[Operation] = []
        if asked:
            out.append(look_up("words", questions, self.block.width, how))
        out.append(norm("norm", rows + questions, self.block.width, how))
        out += layers(self.layers, look(self.block, everyone(batch, self.queries + asked), how))
        out += layers(crossing, look_across(self.block, across, self.seen, how, rows=picture))
        out += layers(self.layers, think(self.block, rows, how))
        if asked:
            out += layers(self.layers, think(self.block, questions, how))
        out.append(linear("map", rows, self.block.width, self.width_out, how))
        return tuple(out)
