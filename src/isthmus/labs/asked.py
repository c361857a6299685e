"""Questions about drawn scenes: what, where, which colour, which number, how many; asked as ids, answered as ids.

Notation: B pictures, Q questions of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.labs.drawn import COLOURS, SHAPES, Drawing

CLASS, POSITION, COLOUR, TEXT, COUNT = "class", "position", "colour", "text", "count"
KINDS = (CLASS, POSITION, COLOUR, TEXT, COUNT)
PLACES = 4
"""A position is one of PLACES x PLACES cells."""
DIGITS, MOST_DOTS = 3, 6

_COLOURS = list(COLOURS)
_ANSWERS = {CLASS: len(SHAPES), POSITION: PLACES**2, COLOUR: len(COLOURS), TEXT: 10, COUNT: MOST_DOTS}
_QUESTIONS = {CLASS: len(COLOURS), POSITION: len(COLOURS), COLOUR: len(SHAPES), TEXT: DIGITS, COUNT: 1}
CHANCE = {kind: 1 / count for kind, count in _ANSWERS.items()}
"""Of an answer of the right kind."""


@dataclass(frozen=True)
class Asked:
    """questions, answers [B, Q] int64; kinds: of each of the Q. There are `num_questions` and `num_answers` ids."""

    questions: Tensor
    answers: Tensor
    kinds: tuple[str, ...]
    num_questions: int
    num_answers: int

    def __getitem__(self, rows: Tensor) -> "Asked":
        return Asked(self.questions[rows], self.answers[rows], self.kinds, self.num_questions, self.num_answers)

    def by_kind(self, values: Tensor) -> dict[str, float]:
        """values [B, Q] -> the mean of each kind."""
        return {kind: values[:, self.places(kind)].double().mean().item() for kind in dict.fromkeys(self.kinds)}

    def places(self, kind: str) -> list[int]:
        return [i for i, each in enumerate(self.kinds) if each == kind]


def ask(scenes: Sequence[Drawing]) -> Asked:
    """Of every scene: the class and the position of the thing of each colour in it, the colour of each class, each
    digit of the number, and how many dots there are. All scenes must have equally many shapes."""
    rows = [_ask(scene) for scene in scenes]
    shapes = len(scenes[0].shapes)
    kinds = (CLASS,) * shapes + (POSITION,) * shapes + (COLOUR,) * shapes + (TEXT,) * DIGITS + (COUNT,)
    found = torch.tensor(rows)  # [B, Q, 2]
    return Asked(found[..., 0], found[..., 1], kinds, sum(_QUESTIONS.values()), sum(_ANSWERS.values()))


def _ask(scene: Drawing) -> list[tuple[int, int]]:
    width, height = scene.picture.width, scene.picture.height
    asked = []
    for kind in (CLASS, POSITION, COLOUR):
        for thing in scene.shapes:
            shape, colour = SHAPES.index(thing.what), _COLOURS.index(thing.colour)
            match kind:
                case "class":
                    asked.append(_ids(kind, colour, shape))
                case "position":
                    asked.append(_ids(kind, colour, thing.cell(width, height, PLACES, PLACES)))
                case "colour":
                    asked.append(_ids(kind, shape, colour))
    asked += [_ids(TEXT, i, int(digit)) for i, digit in enumerate(scene.written)]
    return [*asked, _ids(COUNT, 0, scene.dots - 1)]


def _ids(kind: str, question: int, answer: int) -> tuple[int, int]:
    before = KINDS[: KINDS.index(kind)]
    return question + sum(_QUESTIONS[k] for k in before), answer + sum(_ANSWERS[k] for k in before)
