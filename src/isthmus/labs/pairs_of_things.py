"""Pictures of two things side by side, the sentence that is true of each, and sentences nearly so.

Notation: n pictures.
"""

from dataclasses import dataclass
from itertools import permutations, product
from typing import Literal

import numpy as np

from isthmus.images.views import Box
from isthmus.labs.drawn import COLOURS, Drawing, Thing, draw, noisy_ground, plain_ground

KINDS = ("circle", "square", "triangle", "star")
HUES = ("red", "yellow", "green", "blue", "purple")
Change = Literal["colour", "kind", "colours swapped", "sides swapped"]
CHANGES: tuple[Change, ...] = ("colour", "kind", "colours swapped", "sides swapped")


@dataclass(frozen=True)
class Couple:
    """What is left and what is right, (colour, kind) each; colours differ, and so do kinds."""

    left: tuple[str, str]
    right: tuple[str, str]

    @property
    def sentence(self) -> str:
        """Always from left to right: told either way round, neither side of a picture was learned in the lab's time."""
        left, right = (" ".join(each) for each in (self.left, self.right))
        return f"a {left} left of a {right}"

    def changed(self, change: Change, random: np.random.Generator) -> "Couple":
        """Another couple, of which what is true here is false: one colour or kind is one that is on neither side, the
        colours are swapped, or the sides are."""
        (hue, kind), (other_hue, other_kind) = self.left, self.right
        if change == "sides swapped":
            return Couple(self.right, self.left)
        if change == "colours swapped":
            return Couple((other_hue, kind), (hue, other_kind))
        if change == "colour":
            new = str(random.choice([each for each in HUES if each not in (hue, other_hue)]))
            of_left, of_right = (new, kind), (new, other_kind)
        else:
            new = str(random.choice([each for each in KINDS if each not in (kind, other_kind)]))
            of_left, of_right = (hue, new), (other_hue, new)
        return Couple(of_left, self.right) if random.integers(2) else Couple(self.left, of_right)


def couples() -> list[Couple]:
    """All there are."""
    things = list(product(HUES, KINDS))
    return [Couple(a, b) for a, b in permutations(things, 2) if a[0] != b[0] and a[1] != b[1]]


def split(share: float, random: np.random.Generator) -> tuple[list[Couple], list[Couple]]:
    """(training, test): of `share` of all couples no picture is trained on, nor of their mirror images."""
    keys = sorted({tuple(sorted((each.left, each.right))) for each in couples()})
    held = {keys[i] for i in random.permutation(len(keys))[: round(share * len(keys))]}
    apart: tuple[list[Couple], list[Couple]] = ([], [])
    for each in couples():
        apart[tuple(sorted((each.left, each.right))) in held].append(each)
    return apart


def picture(couple: Couple, random: np.random.Generator, side: int) -> Drawing:
    """Each thing anywhere on its half; half of all grounds are plain, half noisy."""
    assert set(HUES) <= set(COLOURS)
    things = []
    for at, (hue, kind) in enumerate((couple.left, couple.right)):
        size = int(random.integers(side // 4, round(side * 0.4)))
        left = at * side // 2 + int(random.integers(2, side // 2 - size - 1))
        top = int(random.integers(2, side - size - 1))
        things.append(Thing(kind, Box(left, top, left + size, top + size), hue))
    ground = noisy_ground if random.integers(2) else plain_ground
    return draw(ground(random, side, side), things)
