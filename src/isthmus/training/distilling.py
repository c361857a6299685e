"""Distil: a small student learns from what a large teacher gave of pictures that nobody has labelled.

The teacher is not in here. It ran once over the pictures (behind a `FeatureCache`, or as a Backend that answered), and
what it gave comes with each batch: features, answers, or both. The student may be any module; its task is trained by
the loop as every other.

Notation: B examples, N tokens of an example, D width of the teacher's features, K answers to choose from.
Sources: Hinton, Vinyals and Dean, 2015 (soft answers); FitNets (Romero et al., 2015; features through a learned map).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.training.loop import Group
from isthmus.training.policy import Learns
from isthmus.vision.features import Features

Apart: TypeAlias = Literal["cosine", "mse"]
Shown = TypeVar("Shown")
Given = TypeVar("Given", contravariant=True)

NO_LABEL = -100
"""In `Taught.labels`: nobody said what this is."""
LEAST = -1e4
"""The logit of an answer that cannot be chosen: its probability is 0 in float32, and no difference of it infinite."""


@dataclass(frozen=True)
class Said:
    """What a student gives of B examples; None: what it does not give.

    tokens [B, N, width]; pooled [B, width], of a width of its own; answers [B, K], logits.
    """

    tokens: Tensor | None = None
    pooled: Tensor | None = None
    answers: Tensor | None = None


class Student(Protocol[Given]):
    """A module whose call does this. All of its parameters may learn, or some. It should do without running statistics,
    which the loop's checkpoints do not hold: a group norm in place of a batch norm."""

    def __call__(self, shown: Given) -> Said: ...


@dataclass(frozen=True)
class Taught(Generic[Shown]):
    """A batch of B examples. None: what no lesson reads.

    shown: what the student takes. features: the teacher's. answers [B, K]: the teacher's logits or log-probabilities;
    -inf is a probability of 0. choices [B, K] bool: which answers each example has (None: all); where it has none the
    teacher said nothing. labels [B] int64: the right answer, or NO_LABEL. places: where each example comes from.
    """

    shown: Shown
    places: tuple[str, ...]
    features: Features | None = None
    answers: Tensor | None = None
    choices: Tensor | None = None
    labels: Tensor | None = None


@dataclass(frozen=True)
class SoftAnswers:
    """The lesson of answers: how little the student's differ from the teacher's, both softened by `temperature`.

    A temperature above 1 makes more of how the teacher ranks the answers it holds for wrong.
    """

    weight: float = 1.0
    temperature: float = 2.0


class FeatureMap(nn.Module):
    """The lesson of features: the student's, through a learned linear map, against the teacher's standardised ones.

    (mine [..., width], theirs [..., D]) -> how far apart [...]: 1 - cosine, or the mean square over D. The map is of no
    use afterwards. Standardised, because a network's features share a large mean, which a cosine would see alone.
    """

    def __init__(self, width: int, like: Tensor, *, weight: float = 1.0, apart: Apart = "cosine") -> None:
        """like [n, D], n > 1: the teacher's features of some pictures, for the mean and deviation of each number."""
        super().__init__()
        self.weight, self.apart = weight, apart
        self.project = nn.Linear(width, like.shape[-1])
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", like.float().mean(0))
        # a number that hardly ever differs is not to be blown up into noise
        self.register_buffer("deviation", like.float().std(0).clamp(min=1e-3))

    def forward(self, mine: Tensor, theirs: Tensor) -> Tensor:
        aim = (theirs.to(self.mean.device).float() - self.mean) / self.deviation
        mapped: Tensor = self.project(mine).float()
        if self.apart == "cosine":
            return 1 - F.cosine_similarity(mapped, aim, dim=-1)
        return (mapped - aim).square().mean(-1)


class Distillation(nn.Module):
    """A student and its lessons, as one module of the loop. (Taught, count) -> "loss" and its parts, unweighted.

    The loss is a sum over examples divided by `count`, each lesson times its weight: an example without a label adds
    nothing to "labels", one of which the teacher said nothing adds nothing to "answers". So where labels are few, let
    some of each batch have one (`RowBatches`) or raise their weight.
    """

    def __init__(
        self,
        student: nn.Module,
        *,
        labels: float = 0.0,
        answers: SoftAnswers | None = None,
        tokens: FeatureMap | None = None,
        pooled: FeatureMap | None = None,
    ) -> None:
        """`student` is a Student and learns in place; `labels`: the weight of people's labels. Raises ValueError
        without any lesson. Several processes (DDP) need lessons that reach all that learns of the student."""
        super().__init__()
        if not labels and answers is None and tokens is None and pooled is None:
            raise ValueError("a student without a lesson")
        self.student, self.labels, self.answers = student, labels, answers
        self.tokens, self.pooled = tokens, pooled

    def forward(self, batch: Taught[object], count: int) -> dict[str, Tensor]:
        """Raises InputError where a lesson finds nothing to learn from, in the batch or at the student."""
        said: Said = self.student(batch.shown)
        parts: dict[str, tuple[float, Tensor]] = {}
        if self.labels:
            mine, right = _both("label", said.answers, batch.labels)
            logits = _of_choices(mine.float(), batch.choices)
            lost = F.cross_entropy(logits, right.to(mine.device), ignore_index=NO_LABEL, reduction="sum")
            parts["labels"] = self.labels, lost
        if self.answers is not None:
            mine, theirs = _both("answer", said.answers, batch.answers)
            each = soft_loss(mine, theirs, self.answers.temperature, batch.choices)
            parts["answers"] = self.answers.weight, each.sum()
        if self.tokens is not None:
            mine, seen = _both("token", said.tokens, batch.features)
            if mine.shape[:2] != seen.tokens.shape[:2]:
                raise InputError(
                    f"the student has {mine.shape[1]} tokens and its teacher {seen.tokens.shape[1]}",
                    todo="give it pictures of a size that makes as many, or let it learn what is pooled",
                )
            mask = seen.mask.to(mine.device)
            each = (self.tokens(mine, seen.tokens) * mask).sum(1) / mask.sum(1).clamp(min=1)
            parts["tokens"] = self.tokens.weight, each.sum()
        if self.pooled is not None:
            mine, seen = _both("pooled feature", said.pooled, batch.features)
            parts["pooled"] = self.pooled.weight, self.pooled(mine, seen.pooled).sum()
        loss = torch.stack([weight * lost for weight, lost in parts.values()]).sum() / count
        return {"loss": loss, **{name: lost.detach() / count for name, (_, lost) in parts.items()}}


class DistillTask:
    """Task of the loop. Counted are examples."""

    counted = "examples"

    def __init__(self, module: Distillation, learns: Learns) -> None:
        """What of the student is frozen stays so; the maps learn at the student's rate."""
        self.module: nn.Module = module
        student = tuple(module.student.parameters())
        maps = tuple(p for each in (module.tokens, module.pooled) if each is not None for p in each.parameters())
        groups = [("student", student), ("maps", maps)]
        self._groups = [Group(name, parts, learns.rate, learns.weight_decay) for name, parts in groups if parts]

    def groups(self) -> list[Group]:
        return self._groups

    def weight(self, batch: Taught[object]) -> int:
        return len(batch.places)

    def places(self, batch: Taught[object]) -> Sequence[str]:
        return batch.places


def soft_loss(mine: Tensor, theirs: Tensor, temperature: float, choices: Tensor | None = None) -> Tensor:
    """The student's logits [B, K], the teacher's [B, K] -> T² KL(teacher || student) at temperature T, [B], float32.

    T² keeps the gradients as long as those of labels (Hinton et al., 2015, section 2). choices as in `Taught`.
    """
    device = mine.device
    log_q = _of_choices(mine.float() / temperature, choices).log_softmax(-1)
    p = _of_choices(theirs.to(device).float() / temperature, choices).softmax(-1)
    return temperature**2 * F.kl_div(log_q, p, reduction="none").sum(-1)


def _of_choices(logits: Tensor, choices: Tensor | None) -> Tensor:
    return logits if choices is None else logits.masked_fill(~choices.to(logits.device), LEAST)


Theirs = TypeVar("Theirs")


def _both(lesson: str, mine: Tensor | None, theirs: Theirs | None) -> tuple[Tensor, Theirs]:
    """What the student gave and what it is to learn from."""
    if mine is None:
        raise InputError(f"the student gives no {lesson}s", why="a lesson asks for them", todo="leave that lesson out")
    if theirs is None:
        raise InputError(f"a batch has no {lesson}s", why="a lesson is about them", todo="leave that lesson out")
    return mine, theirs
