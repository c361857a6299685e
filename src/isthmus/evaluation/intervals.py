"""Bootstrap intervals of figures that are functions of sums over examples: means, ratios, BLEU, differences of these.

`contrastive.metrics.bootstrap` takes any statistic of the values; knowing only sums makes 200,000 examples quick.

Notation: N examples, K numbers kept of each, G groups, R resamples.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from isthmus.contrastive.metrics import Interval

Rows: TypeAlias = NDArray[np.float64]
"""[N, K]: what is kept of each example."""
Combine: TypeAlias = Callable[[Rows, NDArray[np.float64]], NDArray[np.float64]]
"""Sums of rows [R, K] and numbers of examples [R] -> the figure [R], or figures [R, F]; NaN where one has no value."""

RESAMPLES, CONFIDENCE = 1000, 0.95
_AT_ONCE = 1 << 22


def mean(sums: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the first column."""
    return np.asarray(sums[:, 0] / counts)


def ratio(sums: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG001
    """Sum of the first column over that of the second: bits over bytes."""
    return np.asarray(sums[:, 0] / sums[:, 1])


def interval(
    rows: Rows,
    combine: Combine,
    *,
    seed: int,
    groups: Sequence[object] | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The figure over all rows, and its percentile interval over draws of groups with replacement.

    `groups` [N]: examples of one group (questions about one picture) are drawn together; None: each by itself.
    Source: Efron and Tibshirani, 1993, chapter 13. Raises ValueError where there are no rows.
    """
    (found,) = intervals(rows, combine, seed=seed, groups=groups, resamples=resamples, confidence=confidence)
    return found


def intervals(
    rows: Rows,
    combine: Combine,
    *,
    seed: int,
    groups: Sequence[object] | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> list[Interval]:
    """As `interval`, of F figures by the same draws. One without a value is NaN; draws in which it has none are left
    out of its interval."""
    if rows.ndim != 2 or not len(rows):
        raise ValueError("an interval needs at least one example")
    number: dict[object, int] = {}
    of = np.array([number.setdefault(group, len(number)) for group in groups or range(len(rows))])
    if len(of) != len(rows):
        raise ValueError(f"{len(of)} groups for {len(rows)} examples")
    sums, counts = np.zeros((len(number), rows.shape[1])), np.bincount(of).astype(np.float64)
    np.add.at(sums, of, rows)
    random = np.random.default_rng(seed)
    found = []
    step = max(1, _AT_ONCE // len(number))
    for start in range(0, resamples, step):
        drawn = random.integers(0, len(number), size=(min(step, resamples - start), len(number)))
        times = np.stack([np.bincount(each, minlength=len(number)) for each in drawn]).astype(np.float64)
        found.append(combine(times @ sums, times @ counts))
    values = combine(rows.sum(0, keepdims=True), np.array([float(len(rows))])).reshape(-1)
    tail = 100 * (1 - confidence) / 2
    return [
        _of_draws(float(value), each, tail)
        for value, each in zip(values, np.concatenate(found).reshape(resamples, -1).T, strict=True)
    ]


def difference(
    ours: Rows, theirs: Rows, combine: Combine, *, seed: int, groups: Sequence[object] | None = None
) -> Interval:
    """The figure of `ours` less that of `theirs`, both [N, K] of the same examples: paired, example by example."""
    (found,) = differences(ours, theirs, combine, seed=seed, groups=groups)
    return found


def differences(
    ours: Rows, theirs: Rows, combine: Combine, *, seed: int, groups: Sequence[object] | None = None
) -> list[Interval]:
    """As `difference`, of F figures."""
    width = ours.shape[1]

    def less(sums: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return combine(sums[:, :width], counts) - combine(sums[:, width:], counts)

    return intervals(np.hstack([ours, theirs]), less, seed=seed, groups=groups)


def _of_draws(value: float, drawn: NDArray[np.float64], tail: float) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if math.isnan(value) or not len(known):
        return Interval(value, math.nan, math.nan)
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(value, float(low), float(high))
