"""Labelled pictures that need no download: eight shapes, drawn by a seed in any colour, size, turn and place."""

import colorsys
import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from isthmus.images.views import Picture

SHAPES = ("circle", "ring", "triangle", "square", "pentagon", "star", "cross", "heart")
SIDE, FINE = 160, 2
"""Pixels of a picture's side, and how many times as fine it is drawn before it is reduced."""


@dataclass(frozen=True)
class Labelled:
    """Pictures and what each shows. `name`: which set this is; equal names, equal pictures."""

    name: str
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]


def drawn(each: int, *, seed: int) -> Labelled:
    """`each` pictures of every shape, the same for the same seed; another seed shares none with it."""
    pictures, labels = [], []
    for number in range(each):
        for shape in SHAPES:
            pictures.append(_picture(shape, random.Random(f"drawn {seed} {number} {shape}")))
            labels.append(shape)
    return Labelled(f"drawn 1, {each} each, seed {seed}", tuple(pictures), tuple(labels))


def _picture(shape: str, rng: random.Random) -> Picture:
    """A bright shape on a dull ground; at least a third of the side wide, wholly within."""
    hue = rng.random()
    ground = _colour(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.2, 0.9))
    fill = _colour(hue, rng.uniform(0.6, 1), rng.uniform(0.3, 1))
    side = SIDE * FINE
    image = Image.new("RGB", (side, side), ground)
    radius = rng.uniform(0.18, 0.36) * side
    centre = tuple(rng.uniform(radius * 1.1, side - radius * 1.1) for _ in range(2))
    _draw(ImageDraw.Draw(image), shape, centre[0], centre[1], radius, rng.uniform(-0.4, 0.4), fill, ground)
    image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5)))
    return Picture(image, *image.size)


def _draw(
    draw: ImageDraw.ImageDraw,
    shape: str,
    x: float,
    y: float,
    r: float,
    turn: float,
    fill: tuple[int, ...],
    ground: tuple[int, ...],
) -> None:
    def around(corners: int, radii: tuple[float, ...] = (1.0,)) -> list[tuple[float, float]]:
        points = []
        for at in range(corners):
            angle, far = 2 * math.pi * at / corners + turn - math.pi / 2, r * radii[at % len(radii)]
            points.append((x + far * math.cos(angle), y + far * math.sin(angle)))
        return points

    match shape:
        case "circle":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        case "ring":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
            draw.ellipse((x - 0.55 * r, y - 0.55 * r, x + 0.55 * r, y + 0.55 * r), fill=ground)
        case "triangle":
            draw.polygon(around(3), fill=fill)
        case "square":
            draw.polygon(around(4), fill=fill)
        case "pentagon":
            draw.polygon(around(5), fill=fill)
        case "star":
            draw.polygon(around(10, (1.0, 0.42)), fill=fill)
        case "cross":
            draw.polygon(around(12, (1.0, 1.0, 0.42)), fill=fill)
        case "heart":
            cos, sin = math.cos(turn), math.sin(turn)
            line = [_on_heart(2 * math.pi * step / 60) for step in range(60)]
            draw.polygon([(x + r * (u * cos - v * sin), y + r * (u * sin + v * cos)) for u, v in line], fill=fill)


def _on_heart(t: float) -> tuple[float, float]:
    """A point of the outline, within one of the centre."""
    across = 16 * math.sin(t) ** 3
    down = -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
    return across / 17, down / 17


def _colour(hue: float, saturation: float, value: float) -> tuple[int, ...]:
    return tuple(round(255 * each) for each in colorsys.hsv_to_rgb(hue, saturation, value))
