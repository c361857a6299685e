"""Rows: one to three cut-outs side by side on a drawn ground of any colours, as the embedder's recipe has them.

Its figures are of exactly these pictures; `scenes` are what questions are asked about. Deterministic by seed.
"""

import random
from collections.abc import Sequence

from PIL import Image

from isthmus.training.data.scenes import background
from isthmus.training.data.sources import Sample, render


def things_of(cutouts: Sequence[Sample], seed: int, *, most: int = 3) -> tuple[Sample, ...]:
    """The one to `most` different cut-outs that the row of that seed shows, from left to right."""
    rng = random.Random(f"things {seed}")
    return tuple(rng.sample(cutouts, min(rng.randint(1, most), len(cutouts))))


def in_a_row(cutouts: Sequence[Sample], seed: int, *, side: int = 288, most: int = 3) -> Image.Image:
    """The RGB picture of `things_of(cutouts, seed)`, side by side, so that none hides another."""
    things = things_of(cutouts, seed, most=most)
    rng = random.Random(f"places {seed}")
    row = background(rng, side, lambda rng: tuple(rng.randrange(256) for _ in range(3)))
    slot = side / len(things)
    for i, thing in enumerate(things):
        cut = render(thing, round(slot * rng.uniform(0.7, 1.0)))
        x = round(slot * i + (slot - cut.width) / 2)
        y = round(rng.uniform(0.2, 0.9) * (side - cut.height))
        row.paste(cut, (x, y), cut)
    return row


def caption_of(things: Sequence[Sample]) -> str:
    """ "a cat, a red ball and a tree"."""
    names = [thing.captions[0].rstrip(".!").lower() for thing in things]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
