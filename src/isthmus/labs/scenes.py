"""A few thousand drawn scenes, encoded once, asked about, and split anew by every seed.

Notation: n pictures, N cells of C numbers, M tokens of width D.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.labs.asked import Asked, ask
from isthmus.labs.cells import frozen_encoder, square
from isthmus.labs.drawn import scene
from isthmus.labs.kept import Labels, labels
from isthmus.labs.reader import Reader, Schedule, learn, right
from isthmus.progress import Progress
from isthmus.vision.depths import PLACE

MEAN = "mean"


@dataclass(frozen=True)
class Pool:
    """features [n, N, C] float16, the questions about each picture, and what a probe may find in it."""

    features: Tensor
    asked: Asked
    known: Labels

    @property
    def seen(self) -> Tensor:
        """The features without the places, which all pictures share."""
        return self.features[..., :-PLACE]

    @property
    def cells(self) -> int:
        return self.features.shape[1]

    @property
    def numbers(self) -> int:
        return self.features.shape[2]


@dataclass(frozen=True)
class Split:
    """Rows of training and of test pictures."""

    training: Tensor
    test: Tensor


def draw_pool(pictures: int, side: int, bar: Progress) -> Pool:
    """The same for all seeds: encoding takes as long as a seed's training."""
    random = np.random.default_rng(0)
    scenes = [scene(random, side=side, shapes=1) for _ in range(pictures)]
    return Pool(square(frozen_encoder(), scenes, side, bar), ask(scenes), labels(scenes))


def split(pictures: int, test: int, seed: int) -> Split:
    order = torch.from_numpy(np.random.default_rng(seed).permutation(pictures))
    return Split(order[test:], order[:test])


def answered(
    connector: nn.Module | None, reader: Reader, pool: Pool, rows: Split, schedule: Schedule, seed: int, bar: Progress
) -> dict[str, float]:
    """Trains both on the training pictures: the share of right answers on the test's, by kind and MEAN of these."""
    learn(connector, reader, pool.features, pool.asked, rows.training, schedule, seed, bar)
    return with_mean(pool.asked.by_kind(right(connector, reader, pool.features, pool.asked, rows.test)))


def with_mean(by_kind: dict[str, float]) -> dict[str, float]:
    return by_kind | {MEAN: sum(by_kind.values()) / len(by_kind)}
