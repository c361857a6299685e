"""The arithmetic all fits share: a region resampled to a given size, and 8-bit pixels to normalised floats."""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.images.views import Box, Picture, Pixels

Resample = Literal["bilinear", "bicubic", "lanczos", "box", "hamming"]
Colour = tuple[int, int, int]
"""RGB, 0 to 255."""

FILTERS: dict[Resample, tuple[Image.Resampling, float]] = {
    "bilinear": (Image.Resampling.BILINEAR, 1.0),
    "bicubic": (Image.Resampling.BICUBIC, 2.0),
    "lanczos": (Image.Resampling.LANCZOS, 3.0),
    "box": (Image.Resampling.BOX, 0.5),
    "hamming": (Image.Resampling.HAMMING, 1.0),
}
"""Pillow's filters and how far each reaches, in pixels of the coarser of its two grids."""


def affordable(width: float, height: float, picture: Picture) -> bool:
    """Whether a scaled or padded picture of that size is made whole although only a part of it is shown.

    Making the whole is what the reference processors do, and the last bit depends on it: Pillow chooses by the whole
    shape which axis to resample first, and rounds to 8 bits in between. Only where the picture is so long and narrow
    that the whole would take many times its own memory is the part made alone.
    """
    return width * height <= max(2**24, 4 * picture.image.width * picture.image.height)


def resample(picture: Picture, box: Box, width: int, height: int, how: Resample) -> Image.Image:
    """What lies in `box` (inside the picture) as [height, width] RGB. Near the edges of the box the filter reads what
    lies beyond them."""
    left, top, right, bottom = picture.within(box)
    # Rounding may carry a box past an edge that it should touch, which Pillow refuses.
    edges = (max(left, 0.0), max(top, 0.0), min(right, picture.image.width), min(bottom, picture.image.height))
    return picture.image.resize((width, height), FILTERS[how][0], box=edges)


def resample_padded(picture: Picture, box: Box, size: int, how: Resample, fill: Colour) -> Image.Image:
    """What lies in the square `box`, reaching beyond the picture onto a canvas of `fill`, as [size, size] RGB.

    Padding comes before resampling: at the seam the filter mixes both.
    """
    left, top, right, bottom = 0, 0, size, size  # the part that is resampled, in pixels of the view
    seen, margin = box, 0.0
    side = box.right - box.left
    if not affordable(side / picture.reduced, side / picture.reduced, picture):
        step = side / size  # original pixels a view pixel
        reach = FILTERS[how][1] * max(step, 1.0)
        left, right = _touched(box.left, picture.width, size, step, reach)
        top, bottom = _touched(box.top, picture.height, size, step, reach)
        seen = Box(box.left + left * step, box.top + top * step, box.left + right * step, box.top + bottom * step)
        margin = reach / picture.reduced
    x0, y0, x1, y1 = picture.within(seen)
    x, y = math.floor(x0 - margin), math.floor(y0 - margin)
    canvas = Image.new("RGB", (math.ceil(x1 + margin) - x, math.ceil(y1 + margin) - y), fill)
    canvas.paste(picture.image, (-x, -y), _coverage(picture, box) if picture.reduced > 1 else None)
    part = canvas.resize((right - left, bottom - top), FILTERS[how][0], box=(x0 - x, y0 - y, x1 - x, y1 - y))
    if part.size == (size, size):
        return part
    view = Image.new("RGB", (size, size), fill)
    view.paste(part, (left, top))
    return view


def _coverage(picture: Picture, box: Box) -> Image.Image:
    """How much of each pixel of a reduced picture is picture and not canvas: at two edges its pixels reach beyond the
    original. An edge that the box does not pass has no canvas behind it."""
    left, top, right, bottom = picture.within(Box(0, 0, picture.width, picture.height))
    x, y = np.arange(picture.image.width), np.arange(picture.image.height)
    across = np.minimum(x + 1, right if box.right > picture.width else np.inf)
    across -= np.maximum(x, left if box.left < 0 else -np.inf)
    down = np.minimum(y + 1, bottom if box.bottom > picture.height else np.inf)
    down -= np.maximum(y, top if box.top < 0 else -np.inf)
    return Image.fromarray(np.rint(np.outer(down, across) * 255).astype(np.uint8))


def _touched(start: float, length: int, size: int, step: float, reach: float) -> tuple[int, int]:
    """The view pixels that the picture's `length` can colour along one axis; the view begins at `start`."""
    first = math.floor((-start - reach) / step)
    last = math.ceil((length - start + reach) / step)
    return max(first, 0), min(last, size)


def normalise(image: Image.Image, mean: tuple[float, ...], std: tuple[float, ...]) -> Pixels:
    """RGB of 8 bits to [3, H, W] float32, C-contiguous: (value / 255 - mean) / std, channel by channel."""
    table = _table(mean, std)
    pixels = np.empty((3, image.height, image.width), np.float32)
    values = np.asarray(image)
    for channel in range(3):
        np.take(table[channel], values[..., channel], out=pixels[channel], mode="clip")
    return pixels


@lru_cache(maxsize=32)
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """[3, 256]: a byte has so few values that each is normalised once, in double precision."""
    values = np.arange(256) / 255
    table: NDArray[np.float32] = ((values - np.array(mean)[:, None]) / np.array(std)[:, None]).astype(np.float32)
    return table
