"""How good a retrieval is: recall, rank, average precision, nDCG, with intervals.

Notation: Q queries, G things in the gallery. `scores` [Q, G], higher is nearer; `gain` [Q, G] bool (relevant
or not) or float ≥ 0 (how relevant). Every metric gives one value a query, [Q] float64, so that intervals can
be drawn.

**Ties are broken against the model**: among equal scores the less relevant come first. A collapsed embedding,
which scores everything the same, so gets the worst ranking there is and not, by the luck of the order, the
best.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_AT_ONCE = 1 << 24
"""Scores sorted at a time: indices of a whole 5,000 × 25,000 table would take gigabytes."""


def ranked(scores: Tensor, gain: Tensor) -> Tensor:
    """The gains in the order in which a query would see them, [Q, G].

    Raises ValueError where shapes differ, a score is not a number, or a query has nothing relevant to find.
    """
    if scores.ndim != 2 or scores.shape != gain.shape:
        raise ValueError(f"scores {tuple(scores.shape)} and gains {tuple(gain.shape)} are not both [Q, G]")
    if scores.isnan().any():
        raise ValueError("a score is not a number")
    barren = (gain > 0).sum(1).eq(0).nonzero()
    if len(barren):
        raise ValueError(f"query {barren[0].item()} has nothing relevant in the gallery")
    rows = max(1, _AT_ONCE // max(1, scores.shape[1]))
    return torch.cat([_rank(s, g) for s, g in zip(torch.split(scores, rows), torch.split(gain, rows), strict=True)])


def _rank(scores: Tensor, gain: Tensor) -> Tensor:
    worst_first = gain.to(torch.float32).argsort(dim=1, stable=True)
    best_first = scores.gather(1, worst_first).argsort(dim=1, descending=True, stable=True)
    return gain.gather(1, worst_first).gather(1, best_first)


def first_rank(scores: Tensor, gain: Tensor) -> Tensor:
    """Place of the first relevant thing, from 1."""
    return (ranked(scores, gain) > 0).int().argmax(1).double() + 1


def recall(scores: Tensor, gain: Tensor, k: int) -> Tensor:
    """R@k as retrieval papers use it: 1 where something relevant is among the first k, else 0."""
    return (first_rank(scores, gain) <= k).double()


def average_precision(scores: Tensor, gain: Tensor) -> Tensor:
    """Mean, over the relevant things, of the precision down to each. Its mean over queries is mAP."""
    hit = (ranked(scores, gain) > 0).double()
    place = torch.arange(1, hit.shape[1] + 1, device=hit.device, dtype=torch.float64)
    return (hit.cumsum(1) / place * hit).sum(1) / hit.sum(1)


def ndcg(scores: Tensor, gain: Tensor, k: int) -> Tensor:
    """Normalised discounted cumulative gain down to place k: gains over log2(place + 1), against the best
    order.

    Source: Järvelin and Kekäläinen, 2002, with gains as given (not 2^gain - 1).
    """
    seen = ranked(scores, gain).double()[:, :k]
    best = gain.double().sort(dim=1, descending=True).values[:, :k]
    discount = torch.arange(2, seen.shape[1] + 2, device=seen.device, dtype=torch.float64).log2()
    return (seen / discount).sum(1) / (best / discount).sum(1)


@dataclass(frozen=True)
class Interval:
    """A figure and the ends of its percentile bootstrap interval; NaN where it has no value (a share of nothing)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "-" if math.isnan(self.value) else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def as_json(self) -> dict[str, float | None]:
        """JSON has no NaN: None in its place."""
        return {name: None if math.isnan(each) else each for name, each in vars(self).items()}


def mean(values: NDArray[np.float64]) -> float:
    return float(values.mean())


def median(values: NDArray[np.float64]) -> float:
    return float(np.median(values))


def bootstrap(
    values: Tensor,
    *,
    seed: int,
    statistic: Callable[[NDArray[np.float64]], float] = mean,
    groups: Sequence[int] | Tensor | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """The statistic of `values` [Q] and its percentile interval over `resamples` draws with replacement.

    `groups` [Q]: queries of one group (the captions of one picture) are drawn together, for they are not
    independent of each other. Source: Efron and Tibshirani, 1993, chapter 13.
    Raises ValueError where there are no values.
    """
    data = np.asarray(values.detach().cpu(), dtype=np.float64)
    if data.ndim != 1 or not len(data):
        raise ValueError("a bootstrap needs at least one value")
    labels = np.arange(len(data)) if groups is None else np.asarray(groups)
    if labels.shape != data.shape:
        raise ValueError(f"{len(labels)} groups for {len(data)} values")
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    random = np.random.default_rng(seed)
    draws = random.integers(0, len(members), size=(resamples, len(members)))
    found = [statistic(data[np.concatenate([members[i] for i in draw])]) for draw in draws]
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(found, [tail, 100 - tail])
    return Interval(statistic(data), float(low), float(high))


@dataclass(frozen=True)
class Direction:
    """Figures of one direction of retrieval; `recall` by k."""

    recall: dict[int, Interval]
    median_rank: Interval
    mean_average_precision: Interval
    ndcg: Interval


@dataclass(frozen=True)
class Retrieval:
    """Both directions of one table of scores."""

    text_to_image: Direction
    image_to_text: Direction


def retrieval(
    images: Tensor,
    texts: Tensor,
    owner: Sequence[int] | Tensor,
    *,
    seed: int,
    same: Sequence[int] | Tensor | None = None,
    ks: Sequence[int] = (1, 5, 10),
    ndcg_at: int = 10,
    resamples: int = 1000,
) -> Retrieval:
    """Pictures [G, D] and captions [Q, D], unit vectors; the rest as `retrieval_by`, with their products as scores."""
    return retrieval_by(texts @ images.T, owner, seed=seed, same=same, ks=ks, ndcg_at=ndcg_at, resamples=resamples)


def retrieval_by(
    scores: Tensor,
    owner: Sequence[int] | Tensor,
    *,
    seed: int,
    same: Sequence[int] | Tensor | None = None,
    ks: Sequence[int] = (1, 5, 10),
    ndcg_at: int = 10,
    resamples: int = 1000,
) -> Retrieval:
    """scores [Q, G] of captions and pictures; `owner` [Q]: the column of each caption's picture.

    A picture may have several captions: any one of them found counts. Pictures without a caption are only
    distractors of text to image. `same` [Q]: captions of equal ids are the same words, each of which belongs to the
    pictures of all of them. Raises ValueError as `ranked` does.
    """
    of = torch.as_tensor(owner, device=scores.device)
    if of.shape != scores.shape[:1]:
        raise ValueError(f"{len(of)} owners for {len(scores)} captions")
    if len(of) and (int(of.min()) < 0 or int(of.max()) >= scores.shape[1]):
        raise ValueError(f"an owner is not one of the {scores.shape[1]} pictures")
    pair = of[:, None] == torch.arange(scores.shape[1], device=scores.device)
    if same is not None:
        ids = torch.as_tensor(same, device=scores.device)
        pair = (ids[:, None] == ids).float() @ pair.float() > 0
    captioned = pair.any(0)

    def direction(scores: Tensor, gain: Tensor, groups: Tensor | None) -> Direction:
        rank = first_rank(scores, gain)

        def interval(values: Tensor, of: Callable[[NDArray[np.float64]], float] = mean) -> Interval:
            return bootstrap(values, seed=seed, statistic=of, groups=groups, resamples=resamples)

        return Direction(
            recall={k: interval((rank <= k).double()) for k in ks},
            median_rank=interval(rank, median),
            mean_average_precision=interval(average_precision(scores, gain)),
            ndcg=interval(ndcg(scores, gain, ndcg_at)),
        )

    return Retrieval(
        text_to_image=direction(scores, pair, of.cpu()),
        image_to_text=direction(scores.T[captioned], pair.T[captioned], None),
    )
