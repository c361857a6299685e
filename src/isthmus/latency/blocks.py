"""A transformer block, as encoders, connectors and language models are made of them.

Notation: R rows (batch x tokens), D width.
"""

from dataclasses import dataclass

from isthmus.latency.operations import (
    Activation,
    How,
    Operations,
    Span,
    activate,
    add,
    attention,
    copy,
    linear,
    norm,
    rotate,
)


@dataclass(frozen=True)
class Block:
    """`head`: width of a head, which need not be D / heads; `hidden`: of the feed-forward. Biases are left out: of a
    matrix of D rows they are one row more."""

    width: int
    heads: int
    head: int
    hidden: int
    kv_heads: int
    activation: Activation = "plain"
    rms: bool = False
    rotary: bool = False
    head_norms: bool = False
    """Queries and keys are normalised (Qwen3)."""

    @property
    def inner(self) -> int:
        """Width of the queries, and of what the heads mix."""
        return self.heads * self.head

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head


def look(block: Block, span: Span, how: How, *, cached: bool = False) -> Operations:
    """Self-attention with its norm and residual: 2 R D (2 inner + 2 keys) FLOPs, and attention's own. `cached`: keys
    and values are kept."""
    rows, turned = span.queries, block.inner + block.keys
    out = [
        norm("norm", rows, block.width, how, rms=block.rms),
        linear("queries, keys, values", rows, block.width, block.inner + 2 * block.keys, how, pieces=3),
    ]
    if block.head_norms:
        out.append(norm("norm of heads", rows, turned, how, rms=block.rms))
    if block.rotary:
        out.append(rotate("rotation", rows, turned, how))
    if cached:
        out.append(copy("cache", 2 * rows * block.keys, how))
    out += [
        attention("attention", span, block.heads, block.kv_heads, block.head, how),
        linear("out", rows, block.inner, block.width, how),
        add("residual", rows, block.width, how),
    ]
    return tuple(out)


def look_across(block: Block, span: Span, width_seen: int, how: How, *, rows: float) -> Operations:
    """Cross-attention of `span`'s queries to something `width_seen` wide: keys and values are made of its `rows`, which
    are 0 where they are kept from before."""
    out = [
        norm("norm", span.queries, block.width, how, rms=block.rms),
        linear("queries", span.queries, block.width, block.inner, how),
    ]
    if rows:
        out.append(linear("keys, values", rows, width_seen, 2 * block.keys, how, pieces=2))
    out += [
        attention("cross-attention", span, block.heads, block.kv_heads, block.head, how),
        linear("out", span.queries, block.inner, block.width, how),
        add("residual", span.queries, block.width, how),
    ]
    return tuple(out)


def think(block: Block, rows: float, how: How) -> Operations:
    """The feed-forward with its norm and residual: 4 R D hidden FLOPs, 6 R D hidden where it is gated."""
    gates = 2 if block.activation == "gated" else 1
    return (
        norm("norm", rows, block.width, how, rms=block.rms),
        linear("up", rows, block.width, gates * block.hidden, how, pieces=gates),
        activate("activation", rows, block.hidden, block.activation, how),
        linear("down", rows, block.hidden, block.width, how),
        add("residual", rows, block.width, how),
    )


def layers(n: float, operations: Operations) -> Operations:
    """All of them, n times."""
    return tuple(each.times(n) for each in operations)
