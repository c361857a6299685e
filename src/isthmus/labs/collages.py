"""A million pictures from a few thousand: collages of four, whose vectors follow from what the four hold.

What the default embedder reads of a picture are means, deviations and maxima over cells, and class scores of a mean:
those of a collage are its quarters', put together. Only at the inner borders is what the network sees another thing,
where its layers reach across: `drawn` encodes real collages to compare.

Notation: T tiles, C numbers that describe one, n collages.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from isthmus.checkpoints import resolve
from isthmus.contrastive.default import DefaultEmbedder, load_heads
from isthmus.contrastive.sentence import load_minilm
from isthmus.images.fits import Letterbox
from isthmus.images.views import Picture, Views
from isthmus.progress import Progress
from isthmus.training.data.augmentation import WHITE, augmented
from isthmus.training.data.sources import render, stamps
from isthmus.vision.efficientnet import EfficientNetEncoder, load_efficientnet

EMBEDDER = "default/embedder"
AT_ONCE = 512
"""Collages put together at a time: 512 x 4 x 3584 numbers are 29 MB."""


@dataclass(frozen=True)
class Tiles:
    """described [T, C] and class logits [T, 1000] of each tile as a quarter of a picture; `images` RGB, square, of half
    the encoder's side; `names` [T]: what is on it."""

    described: Tensor
    logits: Tensor
    images: tuple[Image.Image, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Studio:
    """Makes collages of `tiles` and their vectors."""

    embedder: DefaultEmbedder
    tiles: Tiles
    spans: tuple[int, ...]

    def vectors(self, collages: NDArray[np.int64]) -> Tensor:
        """Tiles of each [n, 4] -> [n, dim] float32, unit length."""
        described = compose(self.tiles.described[torch.from_numpy(collages)], self.embedder.pictures.width, self.spans)
        prior = self.embedder.heads.prior(self.tiles.logits[torch.from_numpy(collages)].mean(1))
        return self.embedder.heads.images(described, prior)

    def drawn(self, collages: NDArray[np.int64]) -> Tensor:
        """As `vectors`, of pictures that were really put together and encoded."""
        views = []
        for four in collages:
            pictures = [self.tiles.images[tile] for tile in four]
            side = pictures[0].width
            canvas = Image.new("RGB", (2 * side, 2 * side))
            for at, picture in enumerate(pictures):
                canvas.paste(picture, (at % 2 * side, at // 2 * side))
            views.append(self.embedder.fit(Picture(canvas, *canvas.size)))
        return self.embedder.images(views)

    def parts(self, collages: NDArray[np.int64], bar: Progress | None = None) -> Iterator[Tensor]:
        """`vectors`, some at a time."""
        for start in range(0, len(collages), AT_ONCE):
            yield self.vectors(collages[start : start + AT_ONCE])
            if bar is not None:
                bar.advance(len(collages[start : start + AT_ONCE]))


def compose(quarters: Tensor, pooled: int, spans: Sequence[int]) -> Tensor:
    """What describes [n, 4, C] quarters of one size -> what describes the wholes [n, C].

    C is `pooled` means and, for each of `spans` channels, so many means, deviations and maxima
    (`EfficientNetEncoder.describe`).
    """
    widths = [pooled, *(span for each in spans for span in (each, each, each))]
    first, *rest = torch.split(quarters, widths, dim=2)
    parts = [first.mean(1)]
    for mean, deviation, most in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        centre = mean.mean(1)
        variance = (deviation.square() + mean.square()).mean(1) - centre.square()
        parts += [centre, variance.clamp_min(0).sqrt(), most.amax(1)]
    return torch.cat(parts, dim=1)


def open_studio(variants: int, bar: Progress, *, most: int | None = None) -> Studio:
    """Tiles of all stamps (or of so many), each drawn `variants` times on other grounds. Raises MissingPart."""
    checkpoint = resolve(EMBEDDER)
    encoder, texts = (resolve(checkpoint.config[part]["name"]) for part in ("encoder", "text_encoder"))
    whole = load_efficientnet(encoder)
    side = cast(Letterbox, whole.fit).size // 2
    small = load_efficientnet(encoder, size=side)
    embedder = DefaultEmbedder(
        EMBEDDER, whole, load_minilm(texts), load_heads(checkpoint), weights=checkpoint.fingerprint
    )
    return Studio(embedder, draw_tiles(small, side, variants, bar, most), whole.channels)


def draw_tiles(encoder: EfficientNetEncoder, side: int, variants: int, bar: Progress, most: int | None) -> Tiles:
    described, images, names = [], [], []
    rng = random.Random(0)
    for sample in stamps()[:most]:
        picture = render(sample, side)
        some: list[Views] = []
        for _ in range(variants):
            image = ImageOps.pad(augmented(picture, rng), (side, side), color=WHITE)
            some.append(encoder.fit(Picture(image, *image.size)))
            images.append(image)
            names.append(sample.captions[0].rstrip(".!").lower())
        described.append(encoder.describe(some))
        bar.advance(variants)
    found = torch.cat(described)
    return Tiles(found, encoder.classify(found[:, : encoder.width]), tuple(images), tuple(names))
