"""Scenes: a few cut-outs pasted on a drawn background, so that what is in the picture is known exactly.

Deterministic by seed.
"""

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image

from isthmus.training.data.sources import Sample, render


def things_of(cutouts: Sequence[Sample], seed: int, *, most: int = 3) -> tuple[Sample, ...]:
    """The one to `most` different cut-outs that the scene of that seed shows, from left to right."""
    rng = random.Random(f"things {seed}")
    return tuple(rng.sample(cutouts, min(rng.randint(1, most), len(cutouts))))


def compose(cutouts: Sequence[Sample], seed: int, *, side: int = 288, most: int = 3) -> Image.Image:
    """The RGB picture of `things_of(cutouts, seed)`, side by side, so that none hides another."""
    things = things_of(cutouts, seed, most=most)
    rng = random.Random(f"places {seed}")
    scene = background(rng, side)
    slot = side / len(things)
    for i, thing in enumerate(things):
        cut = render(thing, round(slot * rng.uniform(0.7, 1.0)))
        x = round(slot * i + (slot - cut.width) / 2)
        y = round(rng.uniform(0.2, 0.9) * (side - cut.height))
        scene.paste(cut, (x, y), cut)
    return scene


def caption_of(things: Sequence[Sample]) -> str:
    """ "a cat, a red ball and a tree"."""
    names = [thing.captions[0].rstrip(".!").lower() for thing in things]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def background(rng: random.Random, side: int) -> Image.Image:
    """A plain colour, a gradient, or soft blotches of two colours; RGB, side x side."""
    near, far = (np.array([rng.randrange(256) for _ in range(3)], np.float32) for _ in range(2))
    blend = np.zeros((side, side), np.float32)
    match rng.choice(("plain", "gradient", "blotches")):
        case "gradient":
            blend += np.linspace(0, 1, side, dtype=np.float32)[:, None]
        case "blotches":
            coarse = np.array([[rng.randrange(256) for _ in range(6)] for _ in range(6)], np.uint8)
            blend += np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)) / np.float32(
                255
            )
    return Image.fromarray(np.uint8(near + blend[..., None] * (far - near)))
