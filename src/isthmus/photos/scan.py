"""The exact nearest rows of an fp16 matrix, at about the speed of memory.

torch makes the products where it is loaded. Where it is not, numpy does, three times slower, but a hundred thousand
rows are done long before torch would be imported.
"""

import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from isthmus.threads import torch_threads

THREADS = 1
"""One core reads nearly as fast as the memory gives; a second gains a third on an idle machine, and on a busy one the
two wait for each other, at each step, longer than the whole scan takes (benchmarks/exact_scan.py)."""

CHUNK = 256
"""Rows that numpy turns into fp32 at a time: they stay in the processor's cache."""

SCALE = np.float32(2.0**112)
"""Between the exponents of fp32 and fp16 (`_shifted`)."""

ROUNDING = 2.0**-10
"""Of an fp16 score below 1 in size: half a unit in its last place is 2**-12; fp32 sums of a row add far less."""


@dataclass(frozen=True)
class Scan:
    """All N scores, rounded to fp16, and from them exact ones on demand. `kept`: rows that count; of the others `rough`
    is -inf.

    One pass of fp16 products reads each row once (torch accumulates in fp32 and rounds the result); only rows that
    could be among the best are scored again in fp32, so the order is that of fp32 arithmetic on the stored vectors.
    """

    rows: NDArray[np.float16]
    query: NDArray[np.float32]
    rough: NDArray[np.float32]
    slack: float
    kept: int

    @classmethod
    def of(cls, rows: NDArray[np.float16], query: NDArray[np.float32], keep: NDArray[np.bool_] | None = None) -> "Scan":
        """rows [N, D] fp16, unit length; query [D] float32, unit length; keep [N]: the only rows that count."""
        rough, slack = _products(rows, query)
        if keep is None:
            return cls(rows, query, rough, slack, len(rows))
        # All rows are read in one pass, and some not looked at: faster than gathering those that are, but for few.
        rough[~keep] = -np.inf
        return cls(rows, query, rough, slack, int(keep.sum()))

    def best(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k best rows and their scores in fp32, best first; equal scores in the order of rows. O(N) beside k."""
        k = min(k, self.kept)
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        # Every row whose true score can reach the true k-th best: its rough one is within twice the slack of it.
        candidates = np.flatnonzero(self.rough >= np.float32(largest(self.rough, k) - 2 * self.slack))
        scores = self.exact(candidates)
        order = np.lexsort((candidates, -scores))[:k]
        return candidates[order], scores[order]

    def exact(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """[n]: the scores in fp32 of these rows."""
        # In parts: where all photos look alike to the query, every row is asked for.
        parts = [_shifted(self.rows[rows[at : at + CHUNK]]) @ (self.query * SCALE) for at in range(0, len(rows), CHUNK)]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """[n, D]: these rows."""
        return self.rows[rows]


def _products(rows: NDArray[np.float16], query: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """[N], and how far each may be from the product of the stored row and the query."""
    torch = _torch()
    if torch is None:
        parts = [_shifted(rows[at : at + CHUNK]) @ (query * SCALE) for at in range(0, len(rows), CHUNK)]
        return np.concatenate([np.empty(0, np.float32), *parts]), ROUNDING
    rounded = query.astype(np.float16)
    with torch_threads(THREADS):
        rough: NDArray[np.float32] = torch.mv(torch.from_numpy(rows), torch.from_numpy(rounded)).float().numpy()
    # |rounded . row - query . row| <= |rounded - query| by Cauchy-Schwarz, rows being of unit length.
    return rough, ROUNDING + 1.001 * float(np.linalg.norm(rounded.astype(np.float32) - query))


def largest(values: NDArray[np.float32], k: int) -> float:
    """The k-th."""
    torch = _torch()
    if torch is None:
        return float(np.partition(values, len(values) - k)[len(values) - k])
    with torch_threads(THREADS):
        return float(torch.topk(torch.from_numpy(values), k).values[-1])


def _torch() -> ModuleType | None:
    """Where it is loaded, and not still being loaded by another thread."""
    module = sys.modules.get("torch")
    return None if module is None or getattr(module.__spec__, "_initializing", False) else module


def _shifted(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """The finite rows in fp32, each over SCALE, exactly: their bits, with sign and exponent moved to where fp32 has
    them. numpy's own conversion takes four times as long."""
    bits = rows.view(np.int16).astype(np.int32)  # which extends the sign
    bits <<= 13
    bits &= -0x70002000
    return bits.view(np.float32)
