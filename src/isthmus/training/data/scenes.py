"""Scenes: cut-outs pasted on photographs and drawn grounds, so that what is where, how many and how coloured is known.

Deterministic by seed. No thing hides another. Questions about a scene are in `questions.py`.
"""

import colorsys
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from isthmus.training.data.names import is_lettering
from isthmus.training.data.sources import Sample, render

T = TypeVar("T")

SIDE = 288
COLOURS = {
    "red": (205, 30, 35),
    "orange": (240, 130, 20),
    "yellow": (245, 215, 40),
    "green": (40, 150, 60),
    "blue": (40, 80, 200),
    "purple": (130, 50, 165),
    "pink": (245, 140, 180),
    "brown": (120, 75, 40),
}


@dataclass(frozen=True)
class Cutout:
    """A picture of one thing with alpha, and what it is called."""

    sample: Sample
    name: str


@dataclass(frozen=True)
class Thing:
    """One thing in a scene. `colour` is "" where it was not painted; `box` (left, top, right, bottom) in pixels."""

    name: str
    path: Path
    colour: str
    box: tuple[int, int, int, int]

    @property
    def centre(self) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


@dataclass(frozen=True)
class Scene:
    """Things from left to right; `side` in pixels. Equal names next to each other are copies of one cut-out."""

    things: tuple[Thing, ...]
    side: int


def compose(
    cutouts: Sequence[Cutout], seed: int, *, grounds: Sequence[Path] = (), side: int = SIDE
) -> tuple[Image.Image, Scene]:
    """The RGB picture of that seed and its truth. `grounds`: photographs to paste on; without them, drawn ones only.

    A third of the scenes show one thing, a third two or three different ones, a third one to four copies of one thing
    and sometimes another beside them.
    """
    rng = random.Random(f"scene {seed}")
    scene = ground(rng, grounds, side)
    chosen, paint = _cast(rng, cutouts, lambda cut: cut.name)
    things = []
    for cut, (left, top, room) in zip(chosen, _slots(rng, len(chosen), side), strict=True):
        image = _fit(_rendered(cut.sample), room * rng.uniform(0.75, 0.95))
        if paint[cut]:
            image = painted(image, COLOURS[paint[cut]])
        if rng.random() < 0.3 and not is_lettering(cut.name):
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x, y = (
            round(start + rng.random() * (room - size)) for start, size in zip((left, top), image.size, strict=True)
        )
        scene.paste(image, (x, y), image)
        things.append(Thing(cut.name, cut.sample.path, paint[cut], (x, y, x + image.width, y + image.height)))
    return scene, Scene(tuple(sorted(things, key=lambda thing: thing.centre)), side)


def told_scene(names: Sequence[str], seed: int, *, side: int = SIDE) -> Scene:
    """The truth of a scene like those of `compose` that nobody has drawn: its things are squares of no file."""
    rng = random.Random(f"told scene {seed}")
    chosen, paint = _cast(rng, names, str, kind=rng.choice((1, 1, 1, 2)))
    things = []
    for name, (left, top, room) in zip(chosen, _slots(rng, len(chosen), side), strict=True):
        size = room * rng.uniform(0.75, 0.95)
        x, y = (round(start + rng.random() * (room - size)) for start in (left, top))
        things.append(Thing(name, Path(), paint[name], (x, y, x + round(size), y + round(size))))
    return Scene(tuple(sorted(things, key=lambda thing: thing.centre)), side)


def _cast(
    rng: random.Random, cutouts: Sequence[T], called: Callable[[T], str], *, kind: int | None = None
) -> tuple[list[T], dict[T, str]]:
    """Which things a scene shows, in any order, and what each is painted, "" for as it is."""
    match rng.randrange(3) if kind is None else kind:
        case 0:
            chosen = [rng.choice(cutouts)]
        case 1:
            chosen = _different(rng, cutouts, rng.choice((2, 2, 3)), called)
        case _:
            several = _different(rng, cutouts, 2, called)
            chosen = [several[0]] * rng.randint(1, 4) + several[1:] * (rng.random() < 0.4)
    paint = {cut: rng.choice(list(COLOURS)) if rng.random() < 0.4 else "" for cut in dict.fromkeys(chosen)}
    rng.shuffle(chosen)
    return chosen, paint


def painted(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """RGBA in one colour: its light and shade stay, its own colours go."""
    grey = np.asarray(image.convert("L"), np.float32)
    alpha = np.asarray(image.getchannel("A"))
    inside = grey[alpha > 128]
    if inside.size:  # the middle of what it shows becomes the colour itself, whatever it was
        low, high = np.percentile(inside, (5, 95))
        # something flat (a letter) has no light and shade to keep
        grey = (grey - low) / (high - low) * 0.7 + 0.15 if high - low > 40 else np.full_like(grey, 127.5 / 255)
    light = np.clip(grey, 0, 1)[..., None]
    tone = np.asarray(colour, np.float32)
    shaded = np.where(light < 0.5, tone * light * 2, tone + (255 - tone) * (light * 2 - 1) * 0.6)
    return Image.fromarray(np.dstack([np.uint8(np.clip(shaded, 0, 255)), alpha]), "RGBA")


def _different(rng: random.Random, cutouts: Sequence[T], count: int, called: Callable[[T], str]) -> list[T]:
    """That many of different names."""
    found: dict[str, T] = {}
    for _ in range(50):
        cut = rng.choice(cutouts)
        found.setdefault(called(cut), cut)
        if len(found) == count:
            break
    return list(found.values())


def _slots(rng: random.Random, count: int, side: int) -> list[tuple[float, float, float]]:
    """(left, top, room) of `count` squares that do not overlap, in any order, anywhere."""
    if count == 1:
        room = side * rng.uniform(0.35, 0.95)
        return [(rng.random() * (side - room), rng.random() * (side - room), room)]
    cells = 2 if count <= 3 and rng.random() < 0.5 else 3
    columns = rng.sample(range(cells), min(count, cells))
    if count <= cells:  # one in each column, so that left and right are never in doubt
        places = [(column, rng.randrange(cells)) for column in columns]
    else:
        places = rng.sample([(column, row) for column in range(cells) for row in range(cells)], count)
    room = side / cells
    return [(column * room, row * room, room) for column, row in places]


def _fit(image: Image.Image, room: float) -> Image.Image:
    share = room / max(image.size)
    return image.resize(
        (max(1, round(image.width * share)), max(1, round(image.height * share))), Image.Resampling.BILINEAR
    )


@lru_cache(maxsize=4096)
def _rendered(sample: Sample) -> Image.Image:
    """Cut to what is not transparent, so that a box is the thing's own."""
    image = render(sample, SIDE)
    return image.crop(image.getchannel("A").point(lambda a: 255 if a > 16 else 0).getbbox())


def ground(rng: random.Random, grounds: Sequence[Path], side: int) -> Image.Image:
    """A part of a photograph, or a plain colour, a gradient, soft blotches; RGB, side x side."""
    if grounds and rng.random() < 0.4:
        photo = _photograph(rng.choice(grounds))
        width = rng.uniform(0.4, 1) * min(photo.size)
        left, top = rng.random() * (photo.width - width), rng.random() * (photo.height - width)
        return photo.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + width, top + width))
    return background(rng, side)


@lru_cache(maxsize=256)
def _photograph(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.draft("RGB", (1024, 1024))
        small = image.convert("RGB")
    small.thumbnail((1024, 1024))
    return small


def background(
    rng: random.Random, side: int, colour: Callable[[random.Random], tuple[int, ...]] | None = None
) -> Image.Image:
    """A plain colour, a gradient, or soft blotches of two colours; RGB, side x side. `colour` draws them (None: mostly
    calm ones)."""
    near, far = (np.array((colour or _calm)(rng), np.float32) for _ in range(2))
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


def _calm(rng: random.Random) -> tuple[int, ...]:
    """White often, else any colour, rarely a loud one: grounds are mostly calm."""
    if rng.random() < 0.3:
        return (255, 255, 255)
    tone = colorsys.hsv_to_rgb(rng.random(), rng.random() ** 2, rng.uniform(0.3, 1))
    return tuple(round(255 * part) for part in tone)
