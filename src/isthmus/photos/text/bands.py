"""Long pictures in bands: a screenshot of a whole conversation is read as a stack of screens.

Scaled whole into what a text detector takes, its letters would be a pixel high.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from isthmus.images.views import Box

LONGEST = 2.0
"""Times the shorter side a picture may be long without being cut."""
SHARED = 0.25
"""Of the shorter side: what neighbouring bands both show, so that a line at a cut is whole in one of them."""

NARROW = 64
"""Pixels: a picture with a shorter side below is cut as if it had so many, or it would be cut into thousands."""
LEAST = 8
"""Pixels of the shorter side: there are no letters in less."""


@dataclass(frozen=True)
class Band:
    """A part of an upright picture, scaled. `box`: where it lies; `own_start`, `own_end`: the stretch along the longer
    side of which it alone speaks, all in pixels of the picture it was cut from."""

    image: Image.Image
    box: Box
    own_start: float
    own_end: float
    across: bool
    """Whether bands lie side by side, not on top of each other."""

    def owns(self, x: float, y: float) -> bool:
        """Whether a line with its middle there is this band's to report."""
        return self.own_start <= (x if self.across else y) < self.own_end


def bands(image: Image.Image, shorter: int) -> Iterator[Band]:
    """The picture with a shorter side of at most `shorter` pixels, one band at a time, from the top or the left."""
    width, height = image.size
    if min(width, height) < LEAST:
        return
    side, length, across = max(NARROW, min(width, height)), max(width, height), width > height
    scale = min(1.0, shorter / min(width, height))
    count = 1 if length <= LONGEST * side else -(-(length - SHARED * side) // ((LONGEST - SHARED) * side))
    step = length / count
    margin = SHARED * side / 2
    for at in range(int(count)):
        start = max(0, round(at * step - margin)) if at else 0
        end = min(length, round((at + 1) * step + margin)) if at + 1 < count else length
        box = Box(start, 0, end, height) if across else Box(0, start, width, end)
        size = (
            max(1, round((box.right - box.left) * scale)),
            max(1, round((box.bottom - box.top) * scale)),
        )
        corners = (box.left, box.top, box.right, box.bottom)
        own = (at * step, (at + 1) * step if at + 1 < count else length + 1)
        yield Band(image.resize(size, Image.Resampling.BICUBIC, corners), box, *own, across)
