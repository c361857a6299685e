"""What passes between the images floor and everything above it: Picture, Box, View, Views, Fit."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]
"""[3, H, W], RGB, normalised as the Fit says."""


@dataclass(frozen=True)
class Picture:
    """An opened picture: upright, sRGB, no alpha.

    `image` may hold fewer pixels than the file (a JPEG decoded at reduced scale); `width` and `height` are the
    size of the whole upright original, and every Box is in those pixels.
    """

    image: Image.Image
    width: int
    height: int
    reduced: int = 1
    """One pixel of `image` stands for `reduced` x `reduced` of the original; the last may reach beyond its edge."""
    inset: tuple[float, float] = (0.0, 0.0)
    """Where in `image` the original's left and top edges lie: above 0 where that last pixel was turned to the front."""

    def __post_init__(self) -> None:
        expected = (-(-self.width // self.reduced), -(-self.height // self.reduced))
        if self.image.size != expected:
            raise ValueError(f"a picture reduced {self.reduced} times has {expected} pixels, not {self.image.size}")

    def within(self, box: "Box") -> tuple[float, float, float, float]:
        """`box` in pixels of `image`: left, top, right, bottom."""
        x, y = self.inset
        k = self.reduced
        return box.left / k + x, box.top / k + y, box.right / k + x, box.bottom / k + y


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the original upright picture; floats, right and bottom exclusive.

    A view padded by its Fit has a box that reaches beyond the picture.
    """

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class View:
    """One rectangle of a picture as model input. pixels: [3, H, W] float32, C-contiguous."""

    pixels: Pixels
    box: Box


@dataclass(frozen=True)
class Views:
    """All views of one picture, in the order in which the model reads them (overview first, where there is one)."""

    views: tuple[View, ...]
    width: int
    height: int
    grid: tuple[int, int] | None = None
    """(rows, columns) of the tiles behind the overview, for Fits that tile."""


class Fit(Protocol):
    """How a picture of any shape becomes model input. Implementations are frozen dataclasses."""

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 prefix over the Fit's name and every setting that changes a pixel."""

    @property
    def at_least(self) -> int | None:
        """Shortest side in pixels that decoding must keep so that this Fit loses nothing (None: all of them)."""

    def __call__(self, picture: Picture) -> Views: ...
