"""Questions to time: pictures with other pixels each time, so that no cache knows them, and texts of a given length."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from isthmus.errors import InputError
from isthmus.images.open import open_picture
from isthmus.latency.rounds import Shot

FILLER = "please look at the whole picture with care and tell me in your own words what you see near the front of it"

LONGEST = 16384
"""Pixels of a side: more are not made."""


@dataclass(frozen=True)
class Shots:
    """The k-th question: with another picture each time, or always with the same one."""

    picture: Path | tuple[int, int] | None
    """A file, or (width, height) of pictures that are made; None: text alone."""
    text: Callable[[int, int], str]
    """(tokens, k) -> a text of so many tokens, another for each k."""
    text_tokens: int
    same_picture: bool = False

    def __post_init__(self) -> None:
        """Raises InputError as `check_size`."""
        if isinstance(self.picture, tuple):
            check_size(self.picture)

    def __call__(self, k: int) -> Shot:
        return Shot(None if self.picture is None else picture_bytes(self.picture, 0 if self.same_picture else k),
                    self.text(self.text_tokens, k))  # fmt: skip


def check_size(size: tuple[int, int]) -> None:
    """Raises InputError for a (width, height) of which no picture is made."""
    if not all(1 <= side <= LONGEST for side in size):
        raise InputError(f"no picture of {size[0]}x{size[1]} is made", todo=f"1 to {LONGEST} a side, such as 512x512")


def picture_bytes(source: Path | tuple[int, int], k: int) -> bytes:
    """A JPEG file's bytes: of a made picture of (width, height), or of the file's picture with one corner painted over,
    so that its pixels are new for each k. Raises PictureError."""
    random = np.random.default_rng(k % 2**32)
    if isinstance(source, Path):
        image = open_picture(source).image.convert("RGB").copy()
        image.paste(tuple(int(c) for c in random.integers(0, 256, 3)), (0, 0, 16, 16))
    else:
        width, height = source
        # smooth and noisy at once, about as hard to decode as a photo
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((width, height))
        grain = random.integers(-12, 13, (height, width, 3))
        image = Image.fromarray((np.asarray(coarse).astype(int) + grain).clip(0, 255).astype(np.uint8))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def text_of(count: Callable[[str], int]) -> Callable[[int, int], str]:
    """Texts of exactly so many tokens where words allow it, by whatever counts a text's tokens."""

    def text(tokens: int, k: int) -> str:
        words = FILLER.split()
        said = [f"{k}:"]
        while count(" ".join(said)) < tokens:
            said.append(words[len(said) % len(words)])
        while len(said) > 1 and count(" ".join(said)) > tokens:
            said.pop()
        return " ".join(said)

    return text
