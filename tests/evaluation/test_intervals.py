"""Intervals by sums: equal to the general bootstrap, paired, grouped."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus.contrastive.metrics import bootstrap
from isthmus.evaluation.intervals import difference, interval, mean, ratio

values = arrays(np.float64, st.integers(1, 30), elements=st.floats(-5, 5))


@given(values, st.integers(0, 3), st.booleans())
def test_means_are_those_of_the_general_bootstrap(data: np.ndarray, seed: int, grouped: bool) -> None:
    groups = [at // 3 for at in range(len(data))] if grouped else None
    ours = interval(data[:, None], mean, seed=seed, groups=groups, resamples=50)
    theirs = bootstrap(torch.tensor(data), seed=seed, groups=groups, resamples=50)
    assert vars(ours) == pytest.approx(vars(theirs), abs=1e-9)


def test_many_examples_are_drawn_in_parts_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).random((40, 2))
    whole = interval(data, ratio, seed=1)
    monkeypatch.setattr("isthmus.evaluation.intervals._AT_ONCE", 90)
    assert vars(interval(data, ratio, seed=1)) == pytest.approx(vars(whole), rel=1e-12)


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios() -> None:
    assert interval(np.array([[1.0, 1.0], [1.0, 9.0]]), ratio, seed=0).value == pytest.approx(0.2)


@given(values, st.integers(0, 3))
def test_what_is_equal_differs_by_exactly_nothing(data: np.ndarray, seed: int) -> None:
    assert vars(difference(data[:, None], data[:, None], mean, seed=seed)) == {"value": 0, "low": 0, "high": 0}


def test_pairs_take_out_what_examples_differ_in_together() -> None:
    random = np.random.default_rng(0)
    hard = random.random((200, 1)) * 10
    paired = difference(hard + 0.1, hard, mean, seed=0)
    assert paired.low == pytest.approx(0.1)
    assert paired.high == pytest.approx(0.1)


def test_groups_widen_the_interval_of_what_they_repeat() -> None:
    random = np.random.default_rng(0)
    data = np.repeat(random.random((20, 1)), 10, axis=0)
    alone = interval(data, mean, seed=0)
    together = interval(data, mean, seed=0, groups=[at // 10 for at in range(200)])
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_nothing_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one example"):
        interval(np.zeros((0, 1)), mean, seed=0)
    with pytest.raises(ValueError, match="1 groups for 2 examples"):
        interval(np.zeros((2, 1)), mean, seed=0, groups=["a"])
