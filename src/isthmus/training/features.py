"""Frozen features of captioned pictures: augmented, encoded once, kept in the cache."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.progress import progress
from isthmus.training.data.augmentation import WHITE, augmented, on_colour
from isthmus.training.data.rows import caption_of, in_a_row, things_of
from isthmus.training.data.sources import Sample, render
from isthmus.training.kept import kept
from isthmus.vision.efficientnet import EfficientNetEncoder

Thing = TypeVar("Thing")

AUGMENTATION = 2
"""Raise it when `augmented` or what is encoded changes: features made by another one are not taken from the cache."""

SIDE = 288


@dataclass(frozen=True)
class Described:
    """features [V, D] float16 of V views, as the encoder's `describe` gives them; picture [V]: the index of each one's
    sample. Undrawable ones have none."""

    features: Tensor
    picture: Tensor


def described(
    encoder: EfficientNetEncoder, name: str, samples: Sequence[Sample], views: int, *, quiet: bool = False
) -> Described:
    """Features of `views` versions of each sample, from the cache where they were made before.

    With views 0, one version of each: the picture as it is, as at test time.
    """

    def prepare(sample: Sample) -> list[Image.Image]:
        try:
            image = render(sample, SIDE)
        except (ValueError, OSError):
            return []  # an SVG its renderer refuses: a few in a thousand
        if not views:
            return [on_colour(image, WHITE)]
        return [augmented(image, random.Random(f"{sample.path}:{view}")) for view in range(views)]

    key = [views, [str(sample.path) for sample in samples]]
    return _kept(encoder, key, lambda: _encode(encoder, name, samples, prepare, quiet=quiet))


def scene_features(
    encoder: EfficientNetEncoder, cutouts: Sequence[Sample], count: int, seed: int, *, quiet: bool = False
) -> tuple[list[Sample], Described]:
    """`count` scenes composed from the cut-outs, as samples that name what is in them, and their features."""
    if count and not cutouts:
        raise InputError("there are no cut-outs to compose scenes from", todo="lower held_out, or leave scenes out")
    seeds = range(seed * 1_000_000, seed * 1_000_000 + count)
    told = [caption_of(things_of(cutouts, number)) for number in seeds]
    samples = [Sample("scenes", Path(f"scene-{n}"), (said,), said) for n, said in zip(seeds, told, strict=True)]
    key = ["scenes", seed, count, [str(cutout.path) for cutout in cutouts]]

    def prepare(number: int) -> list[Image.Image]:
        return [in_a_row(cutouts, number, side=SIDE)]

    return samples, _kept(encoder, key, lambda: _encode(encoder, "scenes", seeds, prepare, quiet=quiet))


def encode_pictures(encoder: EfficientNetEncoder, images: Sequence[Image.Image]) -> Tensor:
    """RGB images -> [B, D] float32, as `describe` gives them."""
    return encoder.describe([encoder.fit(Picture(image, *image.size)) for image in images])


def _kept(encoder: EfficientNetEncoder, key: list[object], make: Callable[[], Described]) -> Described:
    def tensors() -> dict[str, Tensor]:
        made = make()
        return {"features": made.features, "picture": made.picture}

    read = kept([encoder.fingerprint, AUGMENTATION, SIDE, *key], tensors)
    return Described(read["features"], read["picture"])


def _encode(
    encoder: EfficientNetEncoder,
    name: str,
    things: Sequence[Thing],
    prepare: Callable[[Thing], list[Image.Image]],
    *,
    quiet: bool,
) -> Described:
    """Draws in two threads, encodes 32 things at a time."""
    features = [torch.empty(0, encoder.width_described, dtype=torch.float16)]
    owner: list[int] = []
    with ThreadPoolExecutor(2) as threads, progress(name, len(things), "pictures", quiet=quiet) as reporter:
        for start in range(0, len(things), 32):
            batch = things[start : start + 32]
            drawn = enumerate(threads.map(prepare, batch), start)
            images = [(i, image) for i, ready in drawn for image in ready]
            if images:
                features.append(encode_pictures(encoder, [image for _, image in images]).half().cpu())
                owner += [i for i, _ in images]
            reporter.advance(len(batch))
    return Described(torch.cat(features), torch.tensor(owner))
