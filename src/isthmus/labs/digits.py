"""The labs' pictures: 1,797 written digits of 8×8 pixels and two colour photographs, all inside scikit-learn's wheel.

Source of the digits: the test part of Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI, 1998),
written by 13 people. Parts are split by picture: the same people wrote both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pictures = NDArray[np.uint8]
DARKEST_INK, LIGHTEST_INK = 200, 235
BACKGROUND = 0.6
"""Photographs are darkened by this, so that ink shows on the brightest of them."""


@dataclass(frozen=True)
class Digits:
    """pixels [n, 8, 8] in 0..1, 1 is ink; labels [n]."""

    pixels: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: NDArray[np.int64]) -> "Digits":
        return Digits(self.pixels[rows], self.labels[rows])


def load_digits() -> Digits:
    """All 1,797."""
    from sklearn import datasets  # type: ignore[import-untyped]

    found = datasets.load_digits()
    return Digits((found.images / 16).astype(np.float32), found.target.astype(np.int64))


def split(digits: Digits, test: int, random: np.random.Generator) -> tuple[Digits, Digits]:
    """(training, test), drawn at random, `test` of them for the test."""
    order = random.permutation(len(digits))
    return digits[order[test:]], digits[order[:test]]


def photographs() -> list[Pictures]:
    """A temple roof and a flower, [427, 640, 3] each."""
    from sklearn import datasets

    return [np.asarray(picture) for picture in datasets.load_sample_images().images]


def halves(photographs: list[Pictures]) -> tuple[list[Pictures], list[Pictures]]:
    """(left, right) halves: for training and for the test, so that no background is met in both."""
    middle = photographs[0].shape[1] // 2
    return [photo[:, :middle] for photo in photographs], [photo[:, middle:] for photo in photographs]


def grey(photographs: list[Pictures]) -> list[Pictures]:
    return [np.asarray(Image.fromarray(photo).convert("L")) for photo in photographs]


def on_photographs(digits: Digits, backgrounds: list[Pictures], side: int, random: np.random.Generator) -> Pictures:
    """Each digit, enlarged to `side`, over a random place of a grey background: [n, side + 2, side + 2].

    One pixel more than the digit on every side, so that a picture can be cut out one pixel further along.
    """
    canvas = side + 2
    out = np.empty((len(digits), canvas, canvas), np.uint8)
    for i, digit in enumerate(digits.pixels):
        photo = backgrounds[random.integers(len(backgrounds))]
        top, left = (random.integers(size - canvas + 1) for size in photo.shape)
        behind = BACKGROUND * photo[top : top + canvas, left : left + canvas]
        ink = np.zeros((canvas, canvas), np.float32)
        large = Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR)
        ink[1:-1, 1:-1] = np.asarray(large)
        brightness = random.uniform(DARKEST_INK, LIGHTEST_INK)
        out[i] = np.round(behind * (1 - ink) + brightness * ink)
    return out


def cut(pictures: Pictures, right: int = 0) -> Pictures:
    """[n, side + 2, side + 2] -> [n, side, side]: the middle, or `right` pixels (0 or 1) to the right of it."""
    side = pictures.shape[1] - 2
    return pictures[:, 1 : 1 + side, 1 + right : 1 + right + side]
