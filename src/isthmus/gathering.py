"""What a loss needs from other processes: sizes, rows with their gradients, and a ring. One process needs
none.

Notation: R ranks, rank r holds b_r rows, B = b_1 + ... + b_R.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """Who takes part in a step: `sizes[r]` rows on rank r. Sizes may differ, and may be zero."""

    rank: int
    sizes: tuple[int, ...]
    group: dist.ProcessGroup | None

    @property
    def count(self) -> int:
        return len(self.sizes)

    @property
    def total(self) -> int:
        return sum(self.sizes)

    @property
    def start(self) -> int:
        """Where this rank's rows begin in the joint batch."""
        return sum(self.sizes[: self.rank])


def meet(rows: int, width: int, labelled: bool, device: torch.device, group: dist.ProcessGroup | None) -> Ranks:
    """Learn every rank's number of rows. Raises ValueError, on all ranks alike, where they do not fit
    together.

    `width`: columns of the embeddings; `labelled`: whether this rank brings ids of equal captions.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return Ranks(0, (rows,), None)
    mine = torch.tensor([rows, width, int(labelled)], device=device)
    table = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(table, mine, group=group)
    every = torch.stack(table).tolist()
    for column, what in ((1, "embedding widths"), (2, "use of `same`")):
        values = [row[column] for row in every]
        if len(set(values)) > 1:
            raise ValueError(f"the ranks differ in their {what}: {values} by rank; give every rank the same")
    return Ranks(dist.get_rank(group), tuple(row[0] for row in every), group)


def gather_rows(x: Tensor, ranks: Ranks) -> Tensor:
    """[b_r, ...] of every rank -> [B, ...] on every rank, in rank order; differentiable.

    Backward sums what all ranks ask of this rank's rows.
    """
    if ranks.count == 1:
        return x
    gathered: Tensor = _GatherRows.apply(x, ranks)  # type: ignore[no-untyped-call]
    return gathered


def gather_padded(x: Tensor, ranks: Ranks) -> Tensor:
    """[b_r, L_r, ...] of every rank -> [B, L, ...] on every rank, L the greatest L_r, zeros behind; differentiable."""
    if ranks.count == 1:
        return x
    longest = torch.tensor([x.shape[1]], device=x.device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX, group=ranks.group)
    more = int(longest) - x.shape[1]
    return gather_rows(torch.cat([x, x.new_zeros(len(x), more, *x.shape[2:])], dim=1), ranks)


def summed(count: int, device: torch.device, ranks: Ranks) -> int:
    """The sum of every rank's count."""
    if ranks.count == 1:
        return count
    total = torch.tensor([count], device=device)
    dist.all_reduce(total, group=ranks.group)
    return int(total)


def mean_value(loss: Tensor, ranks: Ranks) -> Tensor:
    """A loss whose value is the mean over ranks and whose gradient is this rank's own."""
    if ranks.count == 1:
        return loss
    value = loss.detach().clone()
    dist.all_reduce(value, group=ranks.group)
    return loss + (value / ranks.count - loss.detach())


def pass_on(block: Tensor, ranks: Ranks) -> Tensor:
    """Send a block to the next rank of the ring and receive the previous one's, of the same shape."""
    received = torch.empty_like(block)
    ahead, behind = (_global((ranks.rank + step) % ranks.count, ranks.group) for step in (1, -1))
    exchange = [
        dist.P2POp(dist.isend, block.contiguous(), ahead, ranks.group),
        dist.P2POp(dist.irecv, received, behind, ranks.group),
    ]
    for work in dist.batch_isend_irecv(exchange):
        work.wait()
    return received


def padded(x: Tensor, rows: int) -> Tensor:
    """[b, ...] -> [rows, ...], zeros behind."""
    return torch.cat([x, x.new_zeros(rows - len(x), *x.shape[1:])]) if len(x) < rows else x


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        most = max(ranks.sizes)
        mine = padded(x, most).contiguous()
        blocks = [torch.empty_like(mine) for _ in ranks.sizes]
        dist.all_gather(blocks, mine, group=ranks.group)
        return torch.cat([block[:size] for block, size in zip(blocks, ranks.sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        ranks: Ranks = ctx.ranks
        total = grad.contiguous().clone()
        dist.all_reduce(total, group=ranks.group)
        return total[ranks.start : ranks.start + ranks.sizes[ranks.rank]], None


def _global(rank: int, group: dist.ProcessGroup | None) -> int:
    return rank if group is None else dist.get_global_rank(group, rank)
