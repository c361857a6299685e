"""A frozen encoder of no weight, so that tests of what is kept are about keeping, and pictures for it."""

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from isthmus.images.fits import Native
from isthmus.images.views import Fit, Views
from isthmus.vision.features import Features, Frame, pad

PATCH = 4
WIDTH = 3 * PATCH * PATCH


@dataclass
class Patches:
    """Encoder: a picture's tokens are its patches, of which pictures of other shapes have more or fewer."""

    fit: Fit = field(default_factory=lambda: Native(patch=PATCH, max_tokens=24))
    dtype: torch.dtype = torch.float32
    fingerprint: str = "patches"
    frames: bool = True
    scale: float = 1.0
    name: str = "patches"
    width: int = WIDTH
    batches: list[int] = field(default_factory=list)
    """How many pictures each call encoded."""

    def encode(self, views: Sequence[Views]) -> Features:
        self.batches.append(len(views))
        tokens, boxes = [], []
        for picture in views:
            (view,) = picture.views
            pixels = self.scale * torch.from_numpy(view.pixels)
            cut = pixels.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).permute(1, 2, 0, 3, 4).reshape(-1, WIDTH)
            tokens.append(cut.to(self.dtype))
            corners = [view.box.left, view.box.top, view.box.right, view.box.bottom]
            boxes.append(torch.tensor(corners) + torch.arange(len(cut))[:, None])
        pooled = torch.stack([each.float().mean(0)[:7] for each in tokens])
        frames = [Frame(each.width, each.height, (2, each.width) if each.width % 2 else None) for each in views]
        return pad(tokens, boxes, pooled, frames if self.frames else ())


def image(seed: int) -> Image.Image:
    """Noise, of a shape that depends on the seed."""
    random = np.random.default_rng(seed)
    width, height = random.integers(8, 60, 2)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def files(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{at}.png" for at in range(count)]
    for at, path in enumerate(paths):
        image(at).save(path)
    return paths


def equal(one: Features, other: Features) -> bool:
    """Bit for bit."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("tokens", "mask", "boxes", "pooled")]
    return one.frames == other.frames and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def forked(work: Callable[[], Any]) -> int:
    """A child process that does `work` and ends with 0; with 1 and a traceback where that fails. Its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        torch.set_num_threads(1)
        work()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def ended(child: int) -> int:
    """Its exit code, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
