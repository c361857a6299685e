"""Mixtures: shares, epochs, resuming, many ranks that read as one, and records that cannot be used."""

import json
from collections import Counter
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.data.chance import chance, permuted, uniform
from isthmus.data.mixture import Draw, Mixture, Prepared
from isthmus.data.report import Report
from isthmus.errors import InputError, PictureError

from .sources import Listed, Streamed

SHAPES = st.lists(
    st.tuples(st.booleans(), st.integers(1, 7), st.sets(st.integers(0, 6)), st.integers(1, 5)), min_size=1, max_size=3
)
"""Of a mixture: for each source whether it is a stream, its size, its bad ones (never the first), its weight."""


def mixture(shape: Any, **more: Any) -> Mixture:
    sources = [
        (Streamed if streamed else Listed)(f"source {at}", size, bad - {0})
        for at, (streamed, size, bad, _) in enumerate(shape)
    ]
    return Mixture(sources, [weight for *_, weight in shape], **{"seed": 5, **more})


def seen(draw: Draw) -> tuple[str, int, int, int]:
    return draw.example.place, draw.source, draw.turn, draw.epoch


def first(reader: Mixture, count: int) -> list[tuple[str, int, int, int]]:
    return [seen(draw) for draw in islice(reader, count)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 17, 1000])
def test_a_permutation_is_one_and_differs_by_key(size: int) -> None:
    orders = [[permuted(at, size, 3, epoch) for at in range(size)] for epoch in range(2)]
    assert all(sorted(order) == list(range(size)) for order in orders)
    assert size < 16 or orders[0] != orders[1]


@pytest.mark.parametrize("size", [3, 4])
def test_every_permutation_is_as_likely(size: int) -> None:
    """Chi-squared with 23 degrees of freedom exceeds 50 once in a thousand; the keys are fixed."""
    trials = 4800
    found = Counter(tuple(permuted(at, size, key) for at in range(size)) for key in range(trials))
    every = list(permutations(range(size)))
    expected = trials / len(every)
    assert sum((found[each] - expected) ** 2 / expected for each in every) < 50


def test_chance_is_the_same_on_every_machine() -> None:
    assert chance(1, "a") == 8415240736594023236
    assert 0 <= uniform("x") < 1
    with pytest.raises(IndexError):
        permuted(3, 3, 0)


def test_each_record_once_an_epoch_in_another_order() -> None:
    reader = Mixture([Listed("a", 50)], seed=1)
    epochs = [[draw.index for draw in islice(reader, 50)] for _ in range(3)]
    assert all(sorted(each) == list(range(50)) for each in epochs)
    assert len({tuple(each) for each in epochs}) == 3
    assert [draw.epoch for draw in islice(reader, 1)] == [3]


def test_shares_are_those_of_the_weights_or_of_the_sizes() -> None:
    sources = [Listed("a", 30), Listed("b", 10)]
    for weights, share in (((1, 4), 0.2), (None, 0.75)):
        drawn = Counter(draw.source for draw in islice(Mixture(sources, weights, seed=2), 4000))
        assert abs(drawn[0] / 4000 - share) < 0.03  # four standard deviations


def test_seeds_differ() -> None:
    sources = [Listed("a", 30), Listed("b", 10)]
    assert len({tuple(first(Mixture(sources, seed=seed), 20)) for seed in range(4)}) == 4


@settings(max_examples=50)
@given(SHAPES, st.integers(0, 40), st.integers(1, 4), st.integers(1, 4))
def test_any_number_of_ranks_reads_and_resumes_as_one(shape: Any, cut: int, before: int, after: int) -> None:
    whole = first(mixture(shape), 80)
    begun = [mixture(shape, rank=rank, world=before) for rank in range(before)]
    rounds = cut // before
    read = [first(reader, rounds) for reader in begun]
    assert [each[turn] for turn in range(rounds) for each in read] == whole[: rounds * before]
    states = [json.loads(json.dumps(reader.state())) for reader in begun]
    assert all(state == states[0] for state in states)
    resumed = [mixture(shape, rank=rank, world=after) for rank in range(after)]
    for reader in resumed:
        reader.resume(states[0])
    more = (80 - rounds * before) // after
    read = [first(reader, more) for reader in resumed]
    assert [each[turn] for turn in range(more) for each in read] == whole[rounds * before :][: more * after]


@settings(max_examples=50)
@given(SHAPES, st.sets(st.integers(1, 6)), st.integers(1, 3), st.integers(0, 20))
def test_what_turns_out_to_be_useless_moves_nothing_else(shape: Any, useless: set[int], world: int, cut: int) -> None:
    """Pictures are opened by the rank that drew them alone: what it finds must not shift the others."""

    def prepare(draw: Draw) -> tuple[str, int, int, int]:
        if int(draw.example.place.split()[-1]) in useless:
            raise PictureError("corrupt", "the picture is damaged")
        return seen(draw)

    whole = list(islice(Prepared(mixture(shape), prepare), 60))
    ranks = [Prepared(mixture(shape, rank=rank, world=world), prepare) for rank in range(world)]
    read = [list(islice(each, 60 // world)) for each in ranks]
    assert [each[turn] for turn in range(60 // world) for each in read] == whole[: 60 // world * world]
    assert not any(int(place.split()[-1]) in useless for place, *_ in whole)
    cutting = Prepared(mixture(shape), prepare)
    assert list(islice(cutting, cut)) == whole[:cut]
    again = Prepared(mixture(shape), prepare)
    again.resume(json.loads(json.dumps(cutting.state())))
    assert list(islice(again, 60 - cut)) == whole[cut:]


def test_bad_records_are_reported_once_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "bad_records.jsonl"
    report = Report(path, keep=1)
    reader = Mixture([Listed("好", 6, {1, 4}), Streamed("b", 4, {2})], [2, 1], seed=1, report=report)
    drawn = list(islice(reader, 60))
    assert {draw.index for draw in drawn if draw.source == 0} == {0, 2, 3, 5}
    assert report.counts == {"好": 2, "b": 1} and report.total == 3 and len(report.first) == 1
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted(line["what"] for line in lines) == ["b 2 is bad", "好 1 is bad", "好 4 is bad"]
    assert reader.instead(drawn[-1], PictureError("missing", "gone")).example.place != drawn[-1].example.place
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["reason"] == "missing"


@pytest.mark.parametrize("source", [Listed("a", 3, {0, 1, 2}), Streamed("a", 3, {0, 1, 2}), Streamed("a", 0)])
def test_a_source_without_a_usable_record_ends_it(source: Any) -> None:
    with pytest.raises(InputError, match=r"a has no usable record: (a . is bad|it is empty)"):
        next(Mixture([source], [1], seed=0))


@pytest.mark.parametrize("source", [Listed("a", 3, {0}), Streamed("a", 3, {0})])
def test_so_does_one_of_which_nothing_can_be_prepared(source: Any) -> None:
    def refuse(draw: Draw) -> None:
        raise InputError(f"{draw.example.place} is refused")

    reader = Mixture([source], [1], seed=0)
    with pytest.raises(InputError, match="a has no usable record"):
        next(Prepared(reader, refuse))
    assert reader.report.total == 3


def test_another_mixtures_state_is_refused() -> None:
    state = Mixture([Listed("a", 3)], seed=0).state()
    with pytest.raises(InputError, match=r"sizes was \[3\] and is \[4\]"):
        Mixture([Listed("a", 4)], seed=0).resume(state)


@pytest.mark.parametrize(
    ("sources", "weights", "said"),
    [
        ([], None, "there are no data"),
        ([Listed("a", 0)], [1], "a holds no record"),
        ([Listed("a", 1)], [0], "the weight of a is 0.0"),
        ([Listed("a", 1)], [1, 2], "2 weights are given for 1 sources"),
        ([Streamed("a", 1)], None, "a stream of unknown length"),
    ],
)
def test_mistakes(sources: Any, weights: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Mixture(sources, weights, seed=0)


def test_a_report_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        Report(tmp_path / "no" / "bad.jsonl")
