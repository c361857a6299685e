"""Which photos show something, by a few examples of it: the space is made even first, then what is near is taken.

In a model's space photos crowd along a few directions (indoors, outdoors, a face), and an example is mostly that. Where
the library's own spread is divided out, what is left is what sets the example apart: with three photos as examples mean
average precision went from .36 to .76 (benchmarks/photo_library/naming.py). Source: exemplar LDA (Hariharan,
Malik and Ramanan, 2012).

Notation: N rows of the library (photos and their regions), D numbers each; E examples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

ENOUGH = 20_000
"""Rows from which the spread is estimated: 20 and more for each of a thousand directions."""
SHRINK = 1.0
"""How much of the mean spread is added to that of each direction: a few dozen photos do not tell all directions."""
FALL, LEAST = 1.1, -2.6
"""A photo shows it where score * sqrt(directions) is at least FALL * ln(photos) + LEAST: scores by chance become e
times rarer for every 1.1, so a library of more photos asks for more. Fitted to libraries of 40 to 3,231 photos, of half
of the 60 things, three examples each."""
BOUNDS = 0.1, 0.7
"""Of the cosine that a photo must have, in the smallest and the largest library."""
CANDIDATES = 2_000
"""Rows whose length in the even space is computed: those of the largest products."""


@dataclass(frozen=True)
class Space:
    """mean [D]; even [D, D], the inverse of the shrunken covariance; directions: how many the rows spread over."""

    mean: Rows
    even: Rows
    directions: float

    @classmethod
    def of(cls, rows: NDArray[np.float16]) -> "Space":
        """rows [N, D]"""
        some = rows if len(rows) <= ENOUGH else rows[np.linspace(0, len(rows) - 1, ENOUGH).astype(int)]
        values = some.astype(np.float32)
        mean = values.mean(0)
        values -= mean
        covariance = values.T @ values / len(values)
        width = len(mean)
        covariance_mean = float(np.trace(covariance)) / width
        if covariance_mean <= 0:  # all photos are the same one
            return cls(mean, np.eye(width, dtype=np.float32), 1.0)
        even = np.linalg.inv(covariance + SHRINK * covariance_mean * np.eye(width, dtype=np.float32))
        spread = covariance @ even
        directions = float(np.trace(spread)) ** 2 / float((spread * spread.T).sum())
        return cls(mean, even.astype(np.float32), directions)

    def unit(self, rows: NDArray[np.float16] | Rows) -> Rows:
        """[..., D], from the mean, of length 1 in the even space."""
        away = rows.astype(np.float32) - self.mean
        length = np.sqrt(np.einsum("...d,...d->...", away @ self.even, away).clip(1e-12))
        unit: Rows = away / length[..., None]
        return unit


def prototype(space: Space, examples: Sequence[NDArray[np.float16]]) -> Rows:
    """[D]: what the examples have in common. Each [V, D] has one or several views, of which the one counts that agrees
    most with the other examples; of a lone example the first.

    Raises ValueError where there are none.
    """
    if not examples:
        raise ValueError("a prototype needs an example")
    views = [space.unit(each) for each in examples]
    picked = []
    for at, own in enumerate(views):
        others = [other for place, other in enumerate(views) if place != at]
        agree = sum((own @ space.even @ other.T).max(1) for other in others) if others else np.zeros(len(own))
        picked.append(own[int(np.argmax(agree))])
    return space.unit(np.mean(picked, 0) + space.mean)


@dataclass(frozen=True)
class Shown:
    """photos [M] that show it; scores [M], cosines in the even space; rows [M]: the view of each that shows it most."""

    photos: NDArray[np.int64]
    scores: Rows
    rows: NDArray[np.int64]


def shows(
    space: Space,
    rows: NDArray[np.float16],
    photos: NDArray[np.int64],
    examples: Sequence[NDArray[np.float16]],
    wrong: Sequence[NDArray[np.float16]] = (),
) -> Shown:
    """rows [N, D] of the photos [N]. Of each `wrong` example the view counts that looks most like the right ones: what
    is nearer to it than to the right ones is not taken."""
    centre = prototype(space, examples)
    direction = space.even @ centre
    product = _product(rows, direction)
    product -= float(space.mean @ direction)
    some = np.argpartition(-product, CANDIDATES)[:CANDIDATES] if len(rows) > CANDIDATES else np.arange(len(rows))
    units = space.unit(rows[some])
    scores = units @ direction
    least = (FALL * math.log(max(2, len(np.unique(photos)))) + LEAST) / math.sqrt(space.directions)
    least = min(max(least, BOUNDS[0]), BOUNDS[1])
    keep = scores >= least
    for each in wrong:
        views = space.unit(each)
        like = views[int(np.argmax(views @ direction))]
        keep &= scores > units @ (space.even @ like)
    some, scores = some[keep], scores[keep]
    order = np.lexsort((some, -scores))
    _, first = np.unique(photos[some[order]], return_index=True)
    best = order[np.sort(first)]
    return Shown(photos[some[best]], scores[best].astype(np.float32), some[best].astype(np.int64))


def _product(rows: NDArray[np.float16], direction: Rows) -> Rows:
    """[N], in parts: a library of fp16 rows is not held in fp32 as a whole."""
    cuts = range(4096, len(rows), 4096)
    found: Rows = np.concatenate([part.astype(np.float32) @ direction for part in np.split(rows, list(cuts))])
    return found
