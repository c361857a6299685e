"""Lab `distill`'s students: one small network, taught in several ways, in equally many steps of equally many pictures.

Notation: B pictures of S pixels a side, N tokens, K kinds.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.data.chance import chance
from isthmus.labs.drawn import SHAPES
from isthmus.labs.taught_pictures import Looked
from isthmus.training.distilling import NO_LABEL, Distillation, DistillTask, FeatureMap, Said, SoftAnswers, Taught
from isthmus.training.loop import LoopSettings, train
from isthmus.training.policy import Learns
from isthmus.training.row_batches import RowBatches, RowPool
from isthmus.vision.features import Features, unboxed

MOVED = 2
"""Pixels by which a batch's pictures are moved at most, both ways."""


@dataclass(frozen=True)
class Lesson:
    """One way of teaching. `labelled`: rows with a label that is used; `shown`: rows that the batches are drawn from,
    beside these. `answers` [n, K]: the teacher's, at `temperature`; `features`: whether the teacher's are learned."""

    labelled: Tensor
    shown: Tensor
    rate: float
    answers: Tensor | None = None
    temperature: float = 1.0
    features: bool = False


@dataclass(frozen=True)
class Course:
    """What all lessons have in common. `labelled`: of a batch's pictures, those with a label where labels are few."""

    widths: tuple[int, ...] = (24, 48, 96)
    groups: int = 8
    batch: int = 32
    labelled: int = 8
    steps: int = 400
    weight_decay: float = 0.05


class SmallNet(nn.Module):
    """pixels [B, 3, S, S] -> Said: N tokens, one a cell of 2^len(widths) pixels; of each number the largest; logits
    [B, K].

    Convolutions of stride 2 with group norms, and one more of stride 1. Not the mean: on training pictures a small
    thing hardly moved it, and nothing was learned in as many steps.
    """

    def __init__(self, widths: Sequence[int], groups: int, answers: int = len(SHAPES)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width_in, width, stride in zip((3, *widths), (*widths, widths[-1]), (*[2] * len(widths), 1), strict=True):
            layers += [nn.Conv2d(width_in, width, 3, stride, 1), nn.GroupNorm(groups, width), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.answer = nn.Linear(widths[-1], answers)

    def forward(self, pixels: Tensor) -> Said:
        tokens = self.layers(pixels).flatten(2).transpose(1, 2)
        pooled = tokens.amax(1)
        return Said(tokens, pooled, self.answer(pooled))


def fresh(course: Course, seed: int) -> SmallNet:
    """The same start for every lesson of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmallNet(course.widths, course.groups)


def learned(looked: Looked, lesson: Lesson, course: Course, seed: int) -> SmallNet:
    """A student after its lesson, in eval mode."""
    student = fresh(course, seed)
    labels = torch.full((len(looked),), NO_LABEL)
    labels[lesson.labelled] = looked.kinds[lesson.labelled]

    def batch(rows: Sequence[int], turn: int) -> Taught[Tensor]:
        some = torch.as_tensor(rows)
        vary = Variation(len(rows), chance(seed, "varied", turn) >> 1)
        return Taught(
            vary.pixels(looked.pixels[some].float()),
            places=tuple(f"picture {row}" for row in rows),
            features=vary.features(_features(looked, some)) if lesson.features else None,
            answers=None if lesson.answers is None else lesson.answers[some],
            labels=labels[some],
        )

    few, many = lesson.labelled.tolist(), lesson.shown.tolist()
    of_few = 0 if not few else course.batch if not many else course.labelled
    pools = [RowPool(few, of_few)] if few else []
    pools += [RowPool(many, course.batch - of_few)] if many else []
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)  # where the maps begin
        distillation = Distillation(
            student,
            labels=1.0 if few else 0.0,
            answers=None if lesson.answers is None else SoftAnswers(temperature=lesson.temperature),
            tokens=FeatureMap(course.widths[-1], looked.tokens.flatten(0, 1)) if lesson.features else None,
            pooled=FeatureMap(course.widths[-1], looked.pooled) if lesson.features else None,
        )
        ended = train(
            DistillTask(distillation, Learns(lesson.rate, course.weight_decay)),
            RowBatches(pools, batch, seed=seed),
            LoopSettings(course.steps, warmup=0.1, precision="float32"),
            Path(folder),
            seed=seed,
            quiet=True,
        )
    if ended.why == "stopped":
        raise KeyboardInterrupt
    return student.eval()


class Variation:
    """How a batch is shown this time: each picture mirrored or not, all moved by a few pixels, drawn from `number`."""

    def __init__(self, pictures: int, number: int) -> None:
        random = torch.Generator().manual_seed(number)
        self._mirrored = torch.rand(pictures, generator=random) < 0.5
        self._down, self._right = torch.randint(2 * MOVED + 1, (2,), generator=random).tolist()

    def pixels(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S], of the same shape; at the edge the last pixels are repeated."""
        height, width = pixels.shape[-2:]
        wide = F.pad(self._turned(pixels), (MOVED,) * 4, mode="replicate")
        return wide[..., self._down : self._down + height, self._right : self._right + width]

    def features(self, features: Features) -> Features:
        """Tokens of a square grid, mirrored where their picture is: nearly what the teacher would see then."""
        tokens = features.tokens
        side = round(tokens.shape[1] ** 0.5)
        grid = tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
        return replace(features, tokens=self._turned(grid).flatten(2).transpose(1, 2))

    def _turned(self, pictures: Tensor) -> Tensor:
        return torch.where(self._mirrored[:, None, None, None], pictures.flip(-1), pictures)


def _features(looked: Looked, rows: Tensor) -> Features:
    tokens = looked.tokens[rows]
    return unboxed(tokens, looked.pooled[rows])


@torch.no_grad()
def says(student: SmallNet, pixels: Tensor) -> Said:
    """Of all these pictures [n, 3, S, S]."""
    parts = [student(few.float()) for few in torch.split(pixels, 250)]
    return Said(pooled=torch.cat([part.pooled for part in parts]), answers=torch.cat([part.answers for part in parts]))
