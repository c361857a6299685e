from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.training.row_batches import RowBatches, RowPool

Rows = tuple[int, tuple[int, ...]]


def taken(rows: Sequence[int], turn: int) -> Rows:
    return turn, tuple(rows)


def batches(*pools: RowPool, seed: int = 0, rank: int = 0, ranks: int = 1) -> RowBatches[Rows]:
    return RowBatches(pools, taken, seed=seed, rank=rank, ranks=ranks)


@given(size=st.integers(1, 20), each=st.integers(1, 7), seed=st.integers(0, 9))
def test_every_row_of_a_pool_comes_before_any_comes_again(size: int, each: int, seed: int) -> None:
    drawn = batches(RowPool(range(size), each), seed=seed)
    rows = [row for _ in range(2 * size) for row in next(drawn)[1]]
    for start in range(0, len(rows), size):
        assert len(set(rows[start : start + size])) == len(rows[start : start + size])
    assert set(rows) == set(range(size))


def test_every_batch_has_its_share_of_each_pool() -> None:
    drawn = batches(RowPool(range(3), 2), RowPool(range(100, 200), 5))
    for _ in range(10):
        rows = next(drawn)[1]
        assert [row < 100 for row in rows] == [True] * 2 + [False] * 5


@given(ranks=st.integers(1, 4), done=st.integers(0, 5))
def test_ranks_read_the_joint_order_and_go_on_where_they_were(ranks: int, done: int) -> None:
    pools = RowPool(range(5), 1), RowPool(range(5, 30), 3)
    alone = batches(*pools)
    joint = [next(alone) for _ in range(ranks * (done + 2))]
    for rank in range(ranks):
        mine = batches(*pools, rank=rank, ranks=ranks)
        for _ in range(done):
            next(mine)
        again = batches(*pools, rank=rank, ranks=ranks)
        again.resume(mine.state())
        assert [next(again), next(again)] == joint[rank::ranks][done:]


def test_another_seed_is_another_order() -> None:
    one, other = (batches(RowPool(range(50), 50), seed=seed) for seed in (0, 1))
    assert next(one) != next(other)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to draw batches from"):
        batches(RowPool(range(3), 2), RowPool([], 1))
