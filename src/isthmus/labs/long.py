"""Long drawn pictures (banners, panoramas, screenshots), what is asked about them, and the Fits they go through.

Notation: B pictures, N cells, Q questions of each.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from isthmus.images.boxes import patch_boxes
from isthmus.images.fits import Crop, Letterbox, Native, Squash
from isthmus.images.tiles import Tiles
from isthmus.images.views import Box, Fit, Views
from isthmus.labs.asked import Asked
from isthmus.labs.cells import CELL, LOUD
from isthmus.labs.drawn import COLOURS, TEXT, Drawing, Thing, draw, noisy_ground, plain_ground, scatter, text_size
from isthmus.vision.depths import FREQUENCIES, DepthsEncoder

READING, LOCATING, SHAPE, WHOLE = "reading", "locating", "shape", "whole"
KINDS = (READING, LOCATING, SHAPE, WHOLE)
ASPECTS = (1, 2, 4, 8)
"""Of the longer side to the shorter one; half of all pictures are wide, half are tall."""
DIGITS, PARTS, ELLIPSES = 3, 8, 2
SHAPES = ("round", "tall", "wide")
STRETCH = 1.6
"""The longer axis of an ellipse, in units of the shorter one."""
CURVE = "curve"
CURVES = ("straight", "bowed one way", "bowed the other way", "wave")
GREY, PEN = (120, 120, 120), 6

SQUASH, LETTERBOX, CROP, TILES, NATIVE = "squash", "letterbox", "crop", "tiles + overview", "native"

_COLOURS = list(COLOURS)
_QUESTIONS = {READING: DIGITS, LOCATING: len(COLOURS), SHAPE: len(COLOURS), WHOLE: 1}
_ANSWERS = {READING: 10, LOCATING: PARTS, SHAPE: len(SHAPES), WHOLE: len(CURVES)}
CHANCE = {kind: 1 / count for kind, count in _ANSWERS.items()}


def fits(encoder: DepthsEncoder, side: int, tile: int) -> dict[str, Fit]:
    """Each comes to about as many cells as a square of `side` pixels has; there are eight or nine tiles and an
    overview."""
    own = encoder.fit
    assert isinstance(own, Letterbox)
    mean, std = own.mean, own.std
    grids = ((1, 8), (8, 1), (2, 4), (4, 2), (3, 3))
    return {
        SQUASH: Squash(size=side, mean=mean, std=std),
        LETTERBOX: Letterbox(size=side, mean=mean, std=std),
        CROP: Crop(size=side, mean=mean, std=std),
        TILES: Tiles(size=tile, grids=grids, mean=mean, std=std),
        NATIVE: Native(patch=CELL, max_tokens=(side // CELL) ** 2, resample="bicubic", mean=mean, std=std),
    }


def long_picture(random: np.random.Generator, aspect: int, area: int) -> Drawing:
    """A grey curve from end to end; over it an ellipse each of two colours (round, tall or wide, all of about the same
    area) and a number. The curve is the last of the things; its `text` says which one."""
    short = round((area / aspect) ** 0.5)
    long = short * aspect
    width, height = (long, short) if random.integers(2) else (short, long)
    ground = (noisy_ground if random.integers(2) else plain_ground)(random, width, height)
    curve = CURVES[random.integers(len(CURVES))]
    _bend(ground, curve, random)
    number = "".join(str(digit) for digit in random.integers(0, 10, DIGITS))
    sizes = [text_size(number, int(random.integers(20, 25)))]
    for _ in range(ELLIPSES):
        size, stretch = min(short * 0.35, 40), (1.0, 1 / STRETCH, STRETCH)[random.integers(3)] ** 0.5
        sizes.append((round(size * stretch), round(size / stretch)))
    boxes = scatter(random, width, height, sizes)
    colours = [str(colour) for colour in random.permutation(_COLOURS)]
    things = [Thing(TEXT, boxes[0], text=number)]
    things += [Thing("circle", box, colour) for box, colour in zip(boxes[1:], colours, strict=False)]
    whole = Thing(CURVE, Box(0, 0, width, height), text=curve)
    return Drawing(draw(ground, things).picture, (*things, whole))


def ask(drawings: Sequence[Drawing]) -> Asked:
    """Of every picture: each digit; in which of PARTS equal parts of its length each ellipse lies, and whether it is
    round, tall or wide; and how the curve runs."""
    found = torch.tensor([_ask(drawing) for drawing in drawings])
    kinds = (READING,) * DIGITS + (LOCATING,) * ELLIPSES + (SHAPE,) * ELLIPSES + (WHOLE,)
    return Asked(found[..., 0], found[..., 1], kinds, sum(_QUESTIONS.values()), sum(_ANSWERS.values()))


def where(picture: Views, told: bool = False) -> Tensor:
    """[N, 4 FREQUENCIES + 2]: where in the picture each cell lies, as shares of its sides; whether it is the
    overview's; and, if the reader is to be `told`, the logarithm of the aspect ratio (else 0). All are LOUD."""
    rows = []
    for i, view in enumerate(picture.views):
        boxes = torch.from_numpy(patch_boxes(view.box, view.pixels.shape[1] // CELL, view.pixels.shape[2] // CELL))
        centres = torch.stack([boxes[:, [0, 2]].mean(1) / picture.width, boxes[:, [1, 3]].mean(1) / picture.height], 1)
        angles = centres[..., None] * torch.pi * 2.0 ** (torch.arange(FREQUENCIES) / 2 - 1)
        overview = torch.full((len(boxes), 1), float(picture.grid is not None and i == 0))
        rows.append(torch.cat([angles.sin().flatten(1), angles.cos().flatten(1), overview], dim=1))
    here = LOUD * torch.cat(rows).float()
    aspect = LOUD * float(np.log2(picture.width / picture.height)) if told else 0.0
    return torch.cat([here, torch.full((len(here), 1), aspect)], dim=1)


def _ask(drawing: Drawing) -> list[tuple[int, int]]:
    width, height = drawing.picture.width, drawing.picture.height
    rows, columns = (1, PARTS) if width >= height else (PARTS, 1)
    asked = [_ids(READING, i, int(digit)) for i, digit in enumerate(drawing.written)]
    for thing in drawing.shapes:
        asked.append(_ids(LOCATING, _COLOURS.index(thing.colour), thing.cell(width, height, rows, columns)))
    for thing in drawing.shapes:
        across, down = thing.box.right - thing.box.left, thing.box.bottom - thing.box.top
        shape = "round" if across == down else "wide" if across > down else "tall"
        asked.append(_ids(SHAPE, _COLOURS.index(thing.colour), SHAPES.index(shape)))
    return [*asked, _ids(WHOLE, 0, CURVES.index(drawing.things[-1].text))]


def _ids(kind: str, question: int, answer: int) -> tuple[int, int]:
    return question + _before(_QUESTIONS, kind), answer + _before(_ANSWERS, kind)


def _before(counts: Mapping[str, int], kind: str) -> int:
    return sum(counts[each] for each in KINDS[: KINDS.index(kind)])


def _bend(ground: Image.Image, curve: str, random: np.random.Generator) -> None:
    """Draws the curve: along the longer side, across a quarter of the shorter one, somewhere near the middle."""
    long, short = max(ground.size), min(ground.size)
    along = np.linspace(0, 1, 65)
    bend = {
        "straight": np.zeros(65),
        "bowed one way": np.sin(np.pi * along),
        "bowed the other way": -np.sin(np.pi * along),
        "wave": np.sin(2 * np.pi * along) / 2,
    }[curve]
    across = short * (0.5 + random.uniform(-0.2, 0.2) + 0.25 * (bend - bend.mean()))
    points = list(zip((along * (long - 1)).tolist(), across.tolist(), strict=True))
    if ground.width < ground.height:
        points = [(y, x) for x, y in points]
    ImageDraw.Draw(ground).line(points, fill=GREY, width=PEN, joint="curve")
