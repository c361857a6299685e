"""Crop, Squash, Letterbox, Native: the fits that make one view of a picture. See also `tiles` and `focus`.

All of them decide sizes from the whole picture's width and height, whatever was decoded, and count in 8-bit pixels
until the very end, as the processors that the pretrained encoders were trained with do.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property

from PIL import Image

from isthmus.errors import InputError
from isthmus.images.pixels import FILTERS, Colour, Resample, affordable, normalise, resample, resample_padded
from isthmus.images.views import Box, Picture, View, Views

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)
BLACK, GREY = (0, 0, 0), (122, 116, 104)
"""GREY is the CLIP mean as a colour: what LLaVA-1.5 pads with."""

OVERSAMPLING = 2
"""Decoding keeps this many pixels for each that a view shows, both ways. Then a reduced JPEG gives the same view as the
whole one within 2 or 3 levels of 255; with 1, edges are off by 10 (docs/images.md has the measurement)."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What all fits share: how pixels are resampled and scaled. `mean` and `std` are RGB, in units of 0 to 1."""

    resample: Resample = "bicubic"
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def __post_init__(self) -> None:
        if self.resample not in FILTERS:
            raise InputError(f"no filter is named {self.resample!r}", todo=f"choose from {', '.join(FILTERS)}")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(s > 0 for s in self.std):
            raise InputError("mean and std need three numbers each", why="std must be above 0")
        for name in ("mean", "std"):  # so that 0 and 0.0, a list and a tuple, are one Fit
            object.__setattr__(self, name, tuple(float(x) for x in getattr(self, name)))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 over the class's name and all its fields, as JSON with sorted keys."""
        settings = json.dumps({"fit": type(self).__name__, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]

    def view(self, image: Image.Image, box: Box) -> View:
        """An RGB image of the view's size as model input. pixels: [3, H, W] float32."""
        return View(normalise(image, self.mean, self.std), box)


@dataclass(frozen=True)
class Crop(Sampling):
    """Scale the shortest side, keep the square in the middle: CLIP, Chinese-CLIP, DINOv2, LLaVA-1.5. What is left and
    right of it, or above and below, is not seen.

    The shortest side becomes `shortest` (None: `size`) pixels, the view is [3, size, size]. A `size` above `shortest`
    is padded with `fill`. Source: CLIP (Radford et al., 2021), the released code's evaluation transform.
    """

    size: int = 224
    shortest: int | None = None
    fill: Colour = BLACK

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.size, self.shortest or self.size)

    @property
    def at_least(self) -> int:
        return OVERSAMPLING * (self.shortest or self.size)

    def __call__(self, picture: Picture) -> Views:
        width, height = shortest_to(picture, self.shortest or self.size)
        # The view's edges in pixels of the scaled picture, then in the original's.
        left, top = (width - self.size) // 2, (height - self.size) // 2
        x, y = picture.width / width, picture.height / height
        box = Box(left * x, top * y, (left + self.size) * x, (top + self.size) * y)
        inner = (max(left, 0), max(top, 0), min(left + self.size, width), min(top + self.size, height))
        if affordable(width, height, picture):
            image = resample(picture, whole(picture), width, height, self.resample).crop(inner)
        else:
            seen = Box(inner[0] * x, inner[1] * y, inner[2] * x, inner[3] * y)
            image = resample(picture, seen, inner[2] - inner[0], inner[3] - inner[1], self.resample)
        if image.size != (self.size, self.size):
            canvas = Image.new("RGB", (self.size, self.size), self.fill)
            canvas.paste(image, (max(-left, 0), max(-top, 0)))
            image = canvas
        return Views((self.view(image, box),), picture.width, picture.height)


@dataclass(frozen=True)
class Squash(Sampling):
    """The whole picture as a square, its aspect ratio given up: SigLIP, BLIP, BLIP-2. One view [3, size, size].

    Source: SigLIP (Zhai et al., 2023), section 4; BLIP-2 (Li et al., 2023), section 4.
    """

    size: int = 224

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.size)

    @property
    def at_least(self) -> int:
        return OVERSAMPLING * self.size

    def __call__(self, picture: Picture) -> Views:
        box = whole(picture)
        image = resample(picture, box, self.size, self.size, self.resample)
        return Views((self.view(image, box),), picture.width, picture.height)


@dataclass(frozen=True)
class Letterbox(Sampling):
    """The whole picture in its own aspect ratio, in the middle of a square of `fill`: LLaVA-1.5's "pad".

    One view [3, size, size]; its box is that square and reaches beyond the picture. Padding comes before resampling,
    so the seam is a smooth one. Source: LLaVA-1.5 (Liu et al., 2023), section 3.
    """

    size: int = 336
    fill: Colour = GREY

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.size)

    @property
    def at_least(self) -> int:
        return OVERSAMPLING * self.size

    def __call__(self, picture: Picture) -> Views:
        side = max(picture.width, picture.height)
        left, top = (side - picture.width) // 2, (side - picture.height) // 2
        box = Box(-left, -top, side - left, side - top)
        if picture.width == picture.height:
            image = resample(picture, box, self.size, self.size, self.resample)
        else:
            image = resample_padded(picture, box, self.size, self.resample, self.fill)
        return Views((self.view(image, box),), picture.width, picture.height)


@dataclass(frozen=True, kw_only=True)
class Native(Sampling):
    """The whole picture, near its own aspect ratio, in as many patches as the budget allows: SigLIP 2 NaFlex.

    One view [3, H, W], H and W multiples of `patch`, H / patch * W / patch <= max_tokens; small pictures are enlarged.
    The vision floor packs the patches. Source: NaViT (Dehghani et al., 2023); SigLIP 2 (Tschannen et al., 2025), 2.4.2.
    """

    patch: int = 16
    max_tokens: int = 256
    resample: Resample = "bilinear"
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.patch, self.max_tokens)

    @property
    def at_least(self) -> int:
        return OVERSAMPLING * self.patch * math.isqrt(self.max_tokens)

    def __call__(self, picture: Picture) -> Views:
        rows, columns = native_grid(picture.width, picture.height, self.patch, self.max_tokens)
        box = whole(picture)
        image = resample(picture, box, columns * self.patch, rows * self.patch, self.resample)
        return Views((self.view(image, box),), picture.width, picture.height)


def native_grid(width: int, height: int, patch: int, max_tokens: int) -> tuple[int, int]:
    """(rows, columns) of patches: both sides scaled by the largest factor whose rounded-up grid is within the budget.

    Found by bisection between 1e-6 and 100 to 1e-5, the reference's precision: the grid depends on where that stops.
    """

    def grid(scale: float) -> tuple[int, int]:
        return max(1, math.ceil(height * scale / patch)), max(1, math.ceil(width * scale / patch))

    fits, exceeds = 1e-6, 100.0
    while exceeds - fits >= 1e-5:
        scale = (fits + exceeds) / 2
        rows, columns = grid(scale)
        if rows * columns <= max_tokens:
            fits = scale
        else:
            exceeds = scale
    return grid(fits)


def shortest_to(picture: Picture, length: int) -> tuple[int, int]:
    """(width, height) of the picture with its shortest side scaled to `length`; the longest is rounded down."""
    width, height = picture.width, picture.height
    if width <= height:
        return length, int(length * height / width)
    return int(length * width / height), length


def whole(picture: Picture) -> Box:
    """The box of the whole picture."""
    return Box(0.0, 0.0, float(picture.width), float(picture.height))


def require_positive(*sizes: int) -> None:
    """Raises InputError unless all sizes are above 0."""
    if any(size < 1 for size in sizes):
        raise InputError("a fit's sizes must be 1 or more", why=f"got {', '.join(map(str, sizes))}")
