"""What each step of a model asks of a machine: FLOPs, bytes to and from memory, kernels started.

FLOPs are those of products, two for each multiplication with its addition, as torch's FlopCounterMode counts them.
Element-wise work is counted by its bytes, which is what it costs. Each operation reads what it needs once and writes
what it makes once, whoever does it after whom: what stays in a cache between two of them is not known here.
Notation: R rows (batch x tokens), D widths, a and w bytes of an activation and of a weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from isthmus.latency.precisions import Math, Numbers, Precision

Activation: TypeAlias = Literal["plain", "quick_gelu", "gated"]
"""plain: one known to torch as one function (gelu, relu, silu); gated: silu(gate) x value, or gelu."""


@dataclass(frozen=True)
class Operation:
    """`weight_bytes`: what has to come from memory whoever computes it, the weights and the keys and values of earlier
    tokens. `activation_bytes`: what passes between operations; a kernel that does several at once saves it."""

    name: str
    flops: float
    weight_bytes: float
    activation_bytes: float
    launches: float
    math: Math

    def times(self, n: float) -> "Operation":
        """The same done n times, with weights of its own each time (n layers)."""
        return replace(
            self,
            flops=n * self.flops,
            weight_bytes=n * self.weight_bytes,
            activation_bytes=n * self.activation_bytes,
            launches=n * self.launches,
        )


Operations: TypeAlias = tuple[Operation, ...]


@dataclass(frozen=True)
class How:
    """How a model is computed: its numbers, and which kernels there are.

    `fused_attention` False: scores go through memory (attention "eager" in transformers). `fused_elementwise` False:
    norms, rotations and activations are done step by step, as transformers' own modules do, and maps that share an
    input one by one. `causal_skip`: attention leaves out what lies ahead instead of masking it.
    """

    precision: Precision
    fused_attention: bool = True
    fused_elementwise: bool = True
    causal_skip: bool = False

    @property
    def plain(self) -> Numbers:
        return self.precision.plain

    @property
    def unquantised(self) -> "How":
        """For all but the blocks of the language model."""
        return replace(self, precision=replace(self.precision, matrices=self.plain))


@dataclass(frozen=True)
class Span:
    """Who looks at whom: `pairs` of a query and a key, batch included. `keys` are made from this pass's tokens, `kept`
    come from an earlier one; `masked`: a mask hides some pairs; `biased`: each pair has a number of its own (T5)."""

    pairs: float
    queries: float
    keys: float
    kept: float = 0.0
    masked: bool = False
    biased: bool = False


def everyone(batch: float, tokens: float) -> Span:
    """All tokens look at all: pairs = batch x tokens²."""
    return Span(batch * tokens**2, batch * tokens, batch * tokens)


def windows(batch: float, sizes: Sequence[int]) -> Span:
    """Tokens look at all of their own window: pairs = batch x sum of size²."""
    return Span(batch * sum(n * n for n in sizes), batch * sum(sizes), batch * sum(sizes))


def causal(batch: float, tokens: float, kept: float = 0.0, *, skip: bool = False) -> Span:
    """Tokens look at `kept` earlier ones and at themselves: pairs = batch x tokens x (kept + tokens), of which `skip`
    leaves out those ahead: batch x tokens x (kept + (tokens + 1) / 2)."""
    seen = kept + ((tokens + 1) / 2 if skip else tokens)
    return Span(batch * tokens * seen, batch * tokens, batch * tokens, batch * kept, masked=tokens > 1)


def linear(name: str, rows: float, width_in: float, width_out: float, how: How, *, pieces: int = 1) -> Operation:
    """[R, in] x [in, out]: 2 R in out FLOPs; in out w + R in a + R out a bytes. `pieces`: so many maps of one input,
    which unfused read it each."""
    n = how.precision.matrices
    kernels = 1 if how.fused_elementwise else pieces
    moved = kernels * rows * width_in * n.entering + rows * width_out * n.activation
    return Operation(name, 2 * rows * width_in * width_out, width_in * width_out * n.weight, moved, kernels, n.math)


def convolution(
    name: str, cells_in: float, cells_out: float, channels: int, out: int, kernel: int, how: How, *, groups: int = 1
) -> Operation:
    """cells x out x channels / groups x kernel² multiplications with addition; weights once, both grids once."""
    n, weights = how.plain, out * channels / groups * kernel**2
    moved = (cells_in * channels + cells_out * out) * n.activation
    return Operation(name, 2 * cells_out * weights, weights * n.weight, moved, 1, n.math)


def attention(name: str, span: Span, heads: int, kv_heads: int, head: int, how: How) -> Operation:
    """Scores and mixing: 4 pairs heads head FLOPs. Fused, queries, keys, values and what comes out move once:
    2 (queries heads + keys kv_heads) head a; kept keys and values come from memory.

    Unfused (transformers' eager path) each score is written, scaled, masked where there is a mask, read by a softmax
    that keeps float32, cast back, and read: 6 a + 8 bytes, 2 a more with a mask; and keys and values are copied for
    each group of heads. All pairs are computed then, the hidden ones too.
    """
    n = how.plain
    kept = 2 * span.kept * kv_heads * head * n.activation
    moved = 2 * (span.queries * heads + span.keys * kv_heads) * head * n.activation
    moved += span.pairs * heads * n.activation if span.biased else 0
    launches = 1
    if not how.fused_attention:
        masked = span.masked or span.biased
        moved += span.pairs * heads * ((8 if masked else 6) * n.activation + 8)
        launches = 6 if masked else 5
        if heads != kv_heads:
            moved += 2 * (span.keys + span.kept) * (heads + kv_heads) * head * n.activation
            launches += 2
    return Operation(name, 4 * span.pairs * heads * head, kept, moved, launches, n.math)


def norm(name: str, rows: float, width: float, how: How, *, rms: bool = False) -> Operation:
    """Reads and writes [R, D]. An RMS norm that is not fused is eight steps in float32: 4 a + 24 bytes a number."""
    a = how.plain.activation
    each, launches = (4 * a + 24, 8) if rms and not how.fused_elementwise else (2 * a, 1)
    return _moving(name, rows * width * each, how, launches, weights=width)


def add(name: str, rows: float, width: float, how: How) -> Operation:
    """A residual: reads two of [R, D], writes one."""
    return _moving(name, 3 * rows * width * how.plain.activation, how)


def rotate(name: str, rows: float, width: float, how: How) -> Operation:
    """Rotary positions of queries and keys, together D wide: read and written. Unfused: five steps for each of the two,
    10 a bytes a number."""
    a = how.plain.activation
    each, launches = (2 * a, 1) if how.fused_elementwise else (10 * a, 10)
    return _moving(name, rows * width * each, how, launches)


def activate(name: str, rows: float, width: float, kind: Activation, how: How) -> Operation:
    """[R, D] read and written; of a gated one, two of [R, D] are read. Unfused: silu, then the product (5 a);
    quick_gelu in three steps (7 a)."""
    a, fused = how.plain.activation, how.fused_elementwise
    match kind:
        case "gated":
            each, launches = (3 * a, 1) if fused else (5 * a, 2)
        case "quick_gelu":
            each, launches = (2 * a, 1) if fused else (7 * a, 3)
        case "plain":
            each, launches = 2 * a, 1
    return _moving(name, rows * width * each, how, launches)


def look_up(name: str, rows: float, width: float, how: How) -> Operation:
    """Rows of a table of embeddings, read and written."""
    n = how.plain
    return Operation(name, 0.0, rows * width * n.weight, rows * width * n.activation, 1, n.math)


def copy(name: str, numbers: float, how: How) -> Operation:
    """So many numbers read and written: embeddings put together, keys and values put into the cache."""
    return _moving(name, 2 * numbers * how.plain.activation, how)


def _moving(name: str, moved: float, how: How, launches: int = 1, *, weights: float = 0.0) -> Operation:
    n = how.plain
    return Operation(name, 0.0, weights * n.weight, moved, launches, n.math)
