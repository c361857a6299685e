"""The exact nearest rows of an fp16 matrix, at about the speed of memory."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.threads import torch_threads

THREADS = 1
"""One core reads nearly as fast as the memory gives; a second gains a third on an idle machine, and on a busy one the
two wait for each other, at each step, longer than the whole scan takes (benchmarks/exact_scan.py)."""

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
    rough: torch.Tensor
    slack: float
    kept: int

    @classmethod
    def of(cls, rows: NDArray[np.float16], query: NDArray[np.float32], keep: NDArray[np.bool_] | None = None) -> "Scan":
        """rows [N, D] fp16, unit length; query [D] float32, unit length; keep [N]: the only rows that count."""
        rounded = query.astype(np.float16)
        with torch_threads(THREADS):
            rough = torch.mv(torch.from_numpy(rows), torch.from_numpy(rounded)).float()
        # |rounded . row - query . row| <= |rounded - query| by Cauchy-Schwarz, rows being of unit length.
        slack = ROUNDING + 1.001 * float(np.linalg.norm(rounded.astype(np.float32) - query))
        if keep is None:
            return cls(rows, query, rough, slack, len(rows))
        # All rows are read in one pass, and some not looked at: faster than gathering those that are, but for few.
        rough[torch.from_numpy(~keep)] = -torch.inf
        return cls(rows, query, rough, slack, int(keep.sum()))

    def best(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k best rows and their scores in fp32, best first; equal scores in the order of rows. O(N) beside k."""
        k = min(k, self.kept)
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        # Every row whose true score can reach the true k-th best: its rough one is within twice the slack of it.
        with torch_threads(THREADS):
            least = torch.topk(self.rough, k).values[-1].item() - 2 * self.slack
            candidates = torch.nonzero(self.rough >= least).flatten().numpy()
        scores = self.exact(candidates)
        order = np.lexsort((candidates, -scores))[:k]
        return candidates[order], scores[order]

    def exact(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """[n]: the scores in fp32 of these rows."""
        # In parts: where all photos look alike to the query, every row is asked for.
        parts = np.split(rows, _cuts(len(rows)))
        return np.concatenate([self.rows[part].astype(np.float32) @ self.query for part in parts])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """[n, D]: these rows."""
        return self.rows[rows]


def _cuts(n: int) -> list[int]:
    return list(range(4096, n, 4096))
