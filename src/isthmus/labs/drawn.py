"""Pictures drawn for the labs, of which everything is known: what stands where, in which colour, what is written.

Pixels follow from the random generator alone (and Pillow's and DejaVu's versions), so a seed is a picture.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from isthmus.images.views import Box, Picture

COLOURS = {
    "red": (214, 32, 32),
    "orange": (240, 140, 20),
    "yellow": (236, 208, 32),
    "green": (36, 150, 60),
    "turquoise": (40, 190, 190),
    "blue": (40, 70, 200),
    "purple": (140, 50, 160),
    "pink": (240, 130, 180),
}
INK = (24, 24, 24)
"""Of writing and dots."""
TEXT, DOT = "text", "dot"

CLEARANCE = 5
"""Pixels at least between things, and to the picture's edge."""
TRIES = 2_000
OVERSAMPLING = 4
DIGIT_HEIGHT = 0.73
"""Of DejaVu Sans, in units of the font's size."""


@dataclass(frozen=True)
class Thing:
    """One thing on a picture. what: one of SHAPES, TEXT or DOT; `box` encloses its ink, in whole pixels.

    `colour`: one of COLOURS, or "" for INK; `text`: what is written.
    """

    what: str
    box: Box
    colour: str = ""
    text: str = ""

    def cell(self, width: int, height: int, rows: int, columns: int) -> int:
        """Which of rows x columns equal cells of a picture its centre lies in, counted row by row."""
        across = (self.box.left + self.box.right) / 2 / width
        down = (self.box.top + self.box.bottom) / 2 / height
        return min(int(down * rows), rows - 1) * columns + min(int(across * columns), columns - 1)


@dataclass(frozen=True)
class Drawing:
    """A picture and all things on it."""

    picture: Picture
    things: tuple[Thing, ...]

    @property
    def shapes(self) -> tuple[Thing, ...]:
        return tuple(thing for thing in self.things if thing.what in SHAPES)

    @property
    def written(self) -> str:
        """The first text."""
        return next(thing.text for thing in self.things if thing.what == TEXT)

    @property
    def dots(self) -> int:
        return sum(thing.what == DOT for thing in self.things)


def scene(
    random: np.random.Generator, *, side: int = 192, shapes: int = 3, digits: int = 3, most_dots: int = 6
) -> Drawing:
    """Shapes of different kinds and colours, a number of so many digits, and 1 to `most_dots` dots, on a square.

    Nothing touches anything. Half of all grounds are plain, half noisy.
    """
    kinds = random.permutation(list(SHAPES))[:shapes]
    colours = random.permutation(list(COLOURS))[:shapes]
    number = "".join(str(digit) for digit in random.integers(0, 10, digits))
    sizes = [(int(size),) * 2 for size in random.integers(side // 6, side // 4, shapes)]
    height = int(random.integers(side // 12, side // 8))
    dots = int(random.integers(1, most_dots + 1))
    boxes = scatter(random, side, side, [*sizes, text_size(number, height), *[(side // 24,) * 2] * dots])
    things = [Thing(str(k), box, str(c)) for k, c, box in zip(kinds, colours, boxes[:shapes], strict=True)]
    things += [Thing(TEXT, boxes[shapes], text=number), *(Thing(DOT, box) for box in boxes[shapes + 1 :])]
    ground = noisy_ground if random.integers(2) else plain_ground
    return draw(ground(random, side, side), things)


def draw(ground: Image.Image, things: Iterable[Thing]) -> Drawing:
    """All things over a ground, which is drawn on."""
    things = tuple(things)
    for thing in things:
        ground.paste(COLOURS.get(thing.colour, INK), _corner(thing.box), mask(thing))
    return Drawing(Picture(ground, *ground.size), things)


def mask(thing: Thing) -> Image.Image:
    """The ink of a thing, 0 to 255, in the size of its box."""
    width, height = round(thing.box.right - thing.box.left), round(thing.box.bottom - thing.box.top)
    if thing.what == TEXT:
        font = _font(_font_size(height))
        left, top, right, bottom = (int(edge) for edge in font.getbbox(thing.text))
        ink = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(ink).text((-left, -top), thing.text, fill=255, font=font)
        return ink if ink.size == (width, height) else ink.resize((width, height))
    ink_of = _SHAPES.get(thing.what, _ellipse)
    return ink_of(width * OVERSAMPLING, height * OVERSAMPLING).reduce(OVERSAMPLING)


def text_size(text: str, height: int) -> tuple[int, int]:
    """(width, height) in pixels of a text written with digits of about `height` pixels."""
    left, top, right, bottom = _font(_font_size(height)).getbbox(text)
    return math.ceil(right - left), math.ceil(bottom - top)


def scatter(
    random: np.random.Generator, width: int, height: int, sizes: Sequence[tuple[int, int]], taken: Iterable[Box] = ()
) -> list[Box]:
    """Places for things of these (width, height), apart from each other and from what is `taken`.

    Raises ValueError where there is no room.
    """
    taken, placed = list(taken), []
    for wide, high in sizes:
        most = (width - wide - 2 * CLEARANCE, height - high - 2 * CLEARANCE)
        for _ in range(TRIES if min(most) >= 0 else 0):
            left, top = (CLEARANCE + int(random.integers(span + 1)) for span in most)
            box = Box(left, top, left + wide, top + high)
            if all(_apart(box, other) for other in taken):
                break
        else:
            raise ValueError(f"{len(sizes)} things do not fit on {width} x {height} pixels")
        taken.append(box)
        placed.append(box)
    return placed


def plain_ground(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """One pale colour."""
    return Image.new("RGB", (width, height), tuple(int(c) for c in random.integers(200, 256, 3)))


def noisy_ground(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Pale clouds with grain."""
    coarse = random.integers(170, 256, (max(2, height // 32), max(2, width // 32), 3)).astype(np.uint8)
    clouds = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    grain = random.normal(0, 10, (height, width, 1))
    return Image.fromarray((np.asarray(clouds) + grain).clip(0, 255).astype(np.uint8))


def _corner(box: Box) -> tuple[int, int]:
    return round(box.left), round(box.top)


def _apart(one: Box, other: Box) -> bool:
    gap = CLEARANCE
    return (
        one.right + gap <= other.left
        or other.right + gap <= one.left
        or one.bottom + gap <= other.top
        or other.bottom + gap <= one.top
    )


def _font_size(height: int) -> int:
    return max(1, round(height / DIGIT_HEIGHT))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf"), size)


def _ellipse(width: int, height: int, inset: float = 0.0, right: float = 0.0) -> Image.Image:
    """Filled, shrunk by `inset` of the sides all round, moved to the right."""
    ink = Image.new("L", (width, height))
    x, y, shift = inset * width, inset * height, right * width
    ImageDraw.Draw(ink).ellipse((x + shift, y, width - 1 - x + shift, height - 1 - y), fill=255)
    return ink


def _polygon(*points: tuple[float, float]) -> Callable[[int, int], Image.Image]:
    """points: x and y as shares of the sides."""

    def ink(width: int, height: int) -> Image.Image:
        drawn = Image.new("L", (width, height))
        ImageDraw.Draw(drawn).polygon([(x * (width - 1), y * (height - 1)) for x, y in points], fill=255)
        return drawn

    return ink


def _star() -> Iterable[tuple[float, float]]:
    for i in range(10):
        radius, angle = 0.5 if i % 2 == 0 else 0.2, math.pi * i / 5
        yield 0.5 + radius * math.sin(angle), 0.5 - radius * math.cos(angle)


_SHAPES: dict[str, Callable[[int, int], Image.Image]] = {
    "circle": _ellipse,
    "ring": lambda w, h: ImageChops.subtract(_ellipse(w, h), _ellipse(w, h, inset=0.22)),
    "crescent": lambda w, h: ImageChops.subtract(_ellipse(w, h), _ellipse(w, h, inset=0.1, right=0.25)),
    "square": _polygon((0, 0), (1, 0), (1, 1), (0, 1)),
    "triangle": _polygon((0.5, 0), (1, 1), (0, 1)),
    "diamond": _polygon((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)),
    "star": _polygon(*_star()),
    "cross": _polygon(
        (0.33, 0), (0.67, 0), (0.67, 0.33), (1, 0.33), (1, 0.67), (0.67, 0.67),
        (0.67, 1), (0.33, 1), (0.33, 0.67), (0, 0.67), (0, 0.33), (0.33, 0.33),
    ),
}  # fmt: skip
SHAPES = tuple(_SHAPES)
"""A circle or a square in an oblong box is an ellipse or a rectangle."""
