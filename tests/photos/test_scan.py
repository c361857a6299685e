"""The scan is exact: the order of fp32 arithmetic over the stored vectors."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch  # noqa: F401 - it is there for those who look
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.photos import scan
from isthmus.photos.scan import SCALE, Scan


@pytest.fixture(autouse=True, scope="module", params=["torch", "numpy"])
def products(request: pytest.FixtureRequest) -> Iterator[None]:
    """By torch, and as where it is not loaded."""
    with pytest.MonkeyPatch.context() as patch:
        assert scan._torch() is not None
        if request.param == "numpy":
            patch.setattr(scan, "_torch", lambda: None)
        yield


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def check(stored: np.ndarray, query: np.ndarray, k: int) -> None:
    rows, scores = Scan.of(stored, query).best(k)
    truth = stored.astype(np.float64) @ query.astype(np.float64)
    assert len(rows) == len(set(rows.tolist())) == min(k, len(stored))
    assert np.allclose(scores, truth[rows], atol=2e-6)
    assert (np.diff(scores) <= 0).all()
    left = np.delete(truth, rows)
    if len(left):  # nothing left out is better than what fp32 can tell apart
        assert left.max() <= truth[rows].min() + 2e-6


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 700),
    dim=st.sampled_from([1, 3, 48, 384, 512]),
    k=st.integers(1, 60),
    spread=st.sampled_from([1.0, 1e-2, 1e-4, 0.0]),
)
def test_it_finds_the_true_best_also_among_nearly_equal_rows(
    seed: int, n: int, dim: int, k: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    middle = random.standard_normal(dim)
    stored = unit(middle + spread * random.standard_normal((n, dim)) + (spread == 0) * 1e-9).astype(np.float16)
    check(stored, unit(random.standard_normal(dim)), k)


def test_equal_scores_come_in_the_order_of_rows() -> None:
    stored = np.repeat(unit(np.ones((1, 16))), 10_000, axis=0).astype(np.float16)
    rows, _ = Scan.of(stored, unit(np.ones(16))).best(25)
    assert rows.tolist() == list(range(25))


@pytest.mark.parametrize("n", [0, 1, 9])
def test_fewer_rows_than_asked_for_are_all_given(n: int) -> None:
    stored = unit(np.random.default_rng(0).standard_normal((n, 8))).astype(np.float16)
    rows, scores = Scan.of(stored, unit(np.ones(8))).best(10)
    assert len(rows) == len(scores) == n


def test_rounding_of_the_first_pass_loses_nothing_in_a_crowd() -> None:
    random = np.random.default_rng(3)
    stored = unit(random.standard_normal((30_000, 64))).astype(np.float16)
    for query in unit(random.standard_normal((20, 64))):
        check(stored, query, 2000)


def test_every_finite_half_is_turned_exactly() -> None:
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    assert len(halves) == 63488
    assert (scan._shifted(halves) * SCALE).tolist() == halves.astype(np.float64).tolist()
