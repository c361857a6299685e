"""Batches of rows that are all in memory: so many of each pool in every batch, however large the pools are.

Where few examples have a label and many have none, both come in each batch this way. Which rows are drawn is computed
from the seed and how many batches went before, so a training goes on exactly and ranks share the joint order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from isthmus.data.chance import permuted
from isthmus.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class RowPool:
    """`rows`, of which `each` come in every batch: all once, in an order of its own, before any comes again."""

    rows: Sequence[int]
    each: int


class RowBatches(Generic[T]):
    """Batches of the loop. `make(rows, turn)` makes one of its rows, pool after pool. `turn` is another number for each
    batch of the joint order: a seed for whatever is drawn anew in it."""

    def __init__(
        self,
        pools: Sequence[RowPool],
        make: Callable[[Sequence[int], int], T],
        *,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Every `ranks`-th batch, from number `rank` on. Raises InputError where a pool has no row."""
        if not all(pool.rows for pool in pools) or not sum(pool.each for pool in pools):
            raise InputError("there is nothing to draw batches from", why="a pool of rows is empty")
        self._pools, self._make = pools, make
        self._seed, self._rank, self._ranks = seed, rank, ranks
        self._given = 0

    def __next__(self) -> T:
        turn = self._given * self._ranks + self._rank
        rows = [row for which in range(len(self._pools)) for row in self._drawn(which, turn)]
        self._given += 1
        return self._make(rows, turn)

    def state(self) -> dict[str, Any]:
        return {"given": self._given}

    def resume(self, state: dict[str, Any]) -> None:
        self._given = int(state["given"])

    def _drawn(self, which: int, turn: int) -> Iterator[int]:
        pool = self._pools[which]
        for place in range(turn * pool.each, (turn + 1) * pool.each):
            epoch, at = divmod(place, len(pool.rows))
            yield pool.rows[permuted(at, len(pool.rows), self._seed, "rows", which, epoch)]
