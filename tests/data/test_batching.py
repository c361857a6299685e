"""Batches and packed rows: nothing lost, nothing twice, no budget exceeded, and resumed exactly."""

import json
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data.batching import Arrangement, Batches, Grouped, Packed
from isthmus.data.mixture import Mixture, Prepared
from isthmus.errors import InputError

from .sources import Listed

LENGTHS = st.lists(st.integers(0, 40), max_size=60)
ARRANGEMENTS: list[Callable[[], Arrangement]] = [
    lambda: Grouped(4),
    lambda: Grouped(5, tokens=60),
    lambda: Packed(40),
]


@pytest.mark.parametrize("make", ARRANGEMENTS)
@given(lengths=LENGTHS, seed=st.integers(0, 5))
def test_every_sample_is_in_exactly_one_group(make: Any, lengths: list[int], seed: int) -> None:
    groups = make()(lengths, seed)
    assert sorted(at for group in groups for at in group) == list(range(len(lengths)))
    assert all(groups) and make()(lengths, seed) == groups


@given(lengths=LENGTHS, rows=st.integers(1, 6), tokens=st.integers(40, 100))
def test_batches_keep_to_both_limits_and_to_like_lengths(lengths: list[int], rows: int, tokens: int) -> None:
    groups = Grouped(rows, tokens)(lengths, 0)
    assert all(len(group) <= rows for group in groups)
    assert all(len(group) * max(lengths[at] for at in group) <= tokens for group in groups)
    spans = sorted((min(lengths[at] for at in group), max(lengths[at] for at in group)) for group in groups)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


@given(lengths=LENGTHS, tokens=st.integers(40, 100))
def test_rows_are_never_over_their_budget_and_no_two_could_be_one(lengths: list[int], tokens: int) -> None:
    rows = Packed(tokens)(lengths, 0)
    filled = [sum(lengths[at] for at in row) for row in rows]
    assert all(each <= tokens for each in filled)
    assert all(a + b > tokens for i, a in enumerate(filled) for b in filled[:i])


def test_packing_finds_what_fits_together() -> None:
    assert sorted(map(sorted, Packed(10)([7, 3, 6, 4, 5, 5], 0))) == [[0, 1], [2, 3], [4, 5]]


def test_the_seed_determines_the_order() -> None:
    lengths = [at % 9 for at in range(64)]
    assert len({json.dumps(Grouped(4)(lengths, seed)) for seed in range(5)}) == 5
    batches = Grouped(4)(lengths, 0)
    firsts = [lengths[batch[0]] for batch in batches]
    assert firsts != sorted(firsts)  # short ones do not come first


@pytest.mark.parametrize("arrange", [Grouped(4, tokens=30), Packed(30)])
def test_what_fits_nowhere_is_said(arrange: Arrangement) -> None:
    with pytest.raises(InputError, match="a sample has 31 tokens where 30 fit: it is number 1"):
        arrange([3, 31], 0)


def length(draw: Any) -> int:
    return 1 + draw.index * 7 % 23


def batches(arrange: Arrangement, window: int = 12) -> Batches[Any]:
    mixture = Mixture([Listed("a", 17), Listed("b", 9, {3})], [2, 1], seed=4)
    return Batches(Prepared(mixture, lambda draw: draw), length, arrange, window=window, seed=9)


@settings(max_examples=40)
@given(cut=st.integers(0, 25), kind=st.sampled_from([Grouped(4), Grouped(5, tokens=60), Packed(30)]))
def test_resumed_in_the_middle_of_a_window(cut: int, kind: Arrangement) -> None:
    whole = list(islice(batches(kind), 40))
    begun, resumed = batches(kind), batches(kind)
    assert list(islice(begun, cut)) == whole[:cut]
    resumed.resume(json.loads(json.dumps(begun.state())))
    assert resumed.state() == begun.state()
    assert list(islice(resumed, 40 - cut)) == whole[cut:]


@settings(max_examples=40)
@given(cut=st.integers(0, 10))
def test_packed_rows_can_be_batched_again(cut: int) -> None:
    def stacked() -> Batches[Any]:
        return Batches(batches(Packed(30)), lambda row: sum(map(length, row)), Grouped(3), window=6, seed=1)

    whole = list(islice(stacked(), 20))
    begun, resumed = stacked(), stacked()
    assert list(islice(begun, cut)) == whole[:cut]
    resumed.resume(json.loads(json.dumps(begun.state())))
    assert list(islice(resumed, 20 - cut)) == whole[cut:]


def test_windows_hold_the_sources_own_sequence() -> None:
    """A window's samples are the next ones of the source, each once."""
    plain = [draw.example.place for draw in islice(Mixture([Listed("a", 17)], seed=4), 48)]
    grouped = Batches(Mixture([Listed("a", 17)], seed=4), length, Grouped(4), window=12, seed=0)
    for number in range(4):
        window = [draw.example.place for batch in islice(grouped, 3) for draw in batch]
        assert sorted(window) == sorted(plain[12 * number : 12 * number + 12])


class Finite:
    """1, 2, ... to the end."""

    def __init__(self, end: int) -> None:
        self.at, self.end = 0, end

    def __next__(self) -> int:
        if self.at == self.end:
            raise StopIteration
        self.at += 1
        return self.at

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def resume(self, state: dict[str, Any]) -> None:
        self.at = state["at"]


@given(end=st.integers(0, 30), cut=st.integers(0, 30))
def test_a_source_that_ends_is_given_to_its_end(end: int, cut: int) -> None:
    def reader() -> Batches[int]:
        return Batches(Finite(end), lambda each: each, Grouped(2), window=4, seed=0)

    whole = list(reader())
    assert sorted(each for batch in whole for each in batch) == list(range(1, end + 1))
    begun, resumed = reader(), reader()
    assert list(islice(begun, cut)) == whole[:cut]
    resumed.resume(begun.state())
    assert list(resumed) == whole[cut:]
