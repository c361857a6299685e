"""Clothes: small grey photographs of ten kinds, a domain that the default model does not know.

Source: Fashion-MNIST (Xiao et al., 2017), MIT licence, as Debian packs it. It stands in for a domain of few pictures
(scans, parts of machines), of which no package holds enough.
"""

import gzip
import io
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isthmus.data.example import Example
from isthmus.errors import MissingPart
from isthmus.messages import assistant, user

HERE = Path("/usr/share/datasets/fashion-mnist")
QUESTION = "What is this?"
CAPTIONS = (
    "a T-shirt",
    "trousers",
    "a pullover",
    "a dress",
    "a coat",
    "a sandal",
    "a shirt",
    "a sneaker",
    "a bag",
    "an ankle boot",
)
Part: TypeAlias = Literal["train", "test"]
FILES = {"train": "train", "test": "t10k"}


@dataclass
class Clothes:
    """Examples: each picture (PNG), asked what it is. `kinds`: places in CAPTIONS."""

    name: str
    pictures: tuple[bytes, ...]
    kinds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, at: int) -> Example:
        caption = CAPTIONS[self.kinds[at]]
        return Example(
            (user(self.pictures[at], QUESTION), assistant(caption)), f"{self.name}, picture {at}", (caption,)
        )


def clothes(part: Part, count: int, *, seed: int = 0, start: int = 0) -> Clothes:
    """Number `start` to `start` + `count` of the data set's own part, all kinds in turn, in an order drawn by `seed`.

    Raises MissingPart where the data set is not installed.
    """
    pictures, kinds = _pictures(part), _kinds(part)
    draw = random.Random(f"{part} {seed}")
    orders = [draw.sample(np.flatnonzero(kinds == kind).tolist(), int((kinds == kind).sum())) for kind in range(10)]
    rows = [orders[at % 10][at // 10] for at in range(start, start + count)]
    return Clothes(
        f"Fashion-MNIST, {part}",
        tuple(_png(pictures[row]) for row in rows),
        tuple(int(kinds[row]) for row in rows),
    )


def _pictures(part: Part) -> NDArray[np.uint8]:
    """[n, 28, 28], white on black."""
    return _read(HERE / f"{FILES[part]}-images-idx3-ubyte.gz")[16:].reshape(-1, 28, 28)


def _kinds(part: Part) -> NDArray[np.uint8]:
    """[n]"""
    return _read(HERE / f"{FILES[part]}-labels-idx1-ubyte.gz")[8:]


@lru_cache
def _read(path: Path) -> NDArray[np.uint8]:
    """Labs ask for a few pictures many times, and unpacking takes all of them."""
    try:
        with gzip.open(path) as file:
            return np.frombuffer(file.read(), dtype=np.uint8)
    except FileNotFoundError:
        raise MissingPart("Fashion-MNIST is not installed", todo="apt-get install dataset-fashion-mnist") from None


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
