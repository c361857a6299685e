"""What lab `stages` is told: of each picture a caption, or the questions of `asked_shapes`; and in which order.

A text is one caption or one question with its answer, with its picture. What a run sees is settled before it starts.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isthmus.labs.asked_shapes import Shapes, caption
from isthmus.labs.frozen_or_full import batches
from isthmus.training.answering import Conversations
from isthmus.training.batches import Asked, features_of
from isthmus.training.data.questions import Question
from isthmus.vision.depths import OVERVIEWS, DepthsEncoder
from isthmus.vision.features import Features, unboxed


@dataclass(frozen=True)
class Text:
    """`seen` [OVERVIEWS, D]: what the encoder sees of the picture on the whole. `said`: a caption where its text is
    empty."""

    seen: Tensor
    said: Question


@dataclass(frozen=True)
class Plan:
    """What the runs of one seed see, in order. `mixed`: all captions and the first questions, as many as stage 2
    sees, in one random order: the very texts of two stages."""

    captions: tuple[Text, ...]
    questions: tuple[Text, ...]
    mixed: tuple[Text, ...]


def plan(captions: Sequence[Text], questions: Sequence[Text], first: int, second: int, seed: int) -> Plan:
    """`first` texts in stage 1 and `second` in stage 2; `questions` for as many as both. Of each kind all come before
    any comes again."""
    told = [captions[at] for at in next(batches(len(captions), first, seed))]
    asked = [questions[at] for at in next(batches(len(questions), first + second, seed))]
    mixed = told + asked[:second]
    random.Random(seed).shuffle(mixed)
    return Plan(tuple(told), tuple(asked), tuple(mixed))


class Batches:
    """Of the loop: `size` texts at a time, in their order."""

    def __init__(self, texts: Sequence[Text], size: int, asked: Asked) -> None:
        self._texts, self._size, self._asked, self._taken = texts, size, asked, 0

    def __next__(self) -> Conversations:
        few = self._texts[self._taken : self._taken + self._size]
        self._taken += self._size
        samples = tuple(self._asked(each.said) for each in few)
        return Conversations(samples, overviews([each.seen for each in few]), tuple(each.said.text for each in few))

    def state(self) -> dict[str, Any]:
        return {"taken": self._taken}

    def resume(self, state: dict[str, Any]) -> None:
        self._taken = state["taken"]


def overviews(seen: Sequence[Tensor]) -> Features:
    """B times [OVERVIEWS, D] -> Features of these tokens alone: enough for one shape, and a step is short."""
    return unboxed(torch.stack(tuple(seen)))


def looked_at(encoder: DepthsEncoder, shapes: Shapes, batch: int = 32) -> list[Tensor]:
    """[OVERVIEWS, D] of each picture, computed once: the encoder is frozen in every run."""
    seen: list[Tensor] = []
    for start in range(0, len(shapes), batch):
        stored = encoder.stored(shapes.views[start : start + batch])
        seen += features_of(encoder, stored).tokens[:, :OVERVIEWS].clone()
    return seen


def told(seen: Sequence[Tensor], shapes: Shapes) -> list[Text]:
    """A caption of each picture whose questions tell its colour and its kind."""
    said = [caption(asked) for asked in shapes.asked]
    return [Text(each, Question("describe", "", words)) for each, words in zip(seen, said, strict=True) if words]


def asked(seen: Sequence[Tensor], shapes: Shapes) -> list[Text]:
    """Every question of every picture."""
    return [Text(each, question) for each, every in zip(seen, shapes.asked, strict=True) for question in every]
