"""What the frozen default encoder knows of each cell of a drawn picture: the features the labs' connectors read.

They are what `vision.depths` stores: four depths of EfficientNet-Lite0 within each cell of its last grid, of 32 x 32
pixels. All that its tokens say beyond that and the place follows from it.

Notation: B pictures, N cells, C numbers a cell.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from isthmus.checkpoints import resolve
from isthmus.images.fits import Letterbox, Squash
from isthmus.images.views import View, Views
from isthmus.labs.drawn import Drawing
from isthmus.precision import fast_dtype
from isthmus.progress import Progress
from isthmus.vision.depths import OVERVIEWS, DepthsEncoder, places
from isthmus.vision.efficientnet import load_efficientnet

CELL = 32
"""Pixels a side."""
BATCH = 32
LOUD = 4.0
"""Places are multiplied by this: beside so many numbers of the encoder's they would hardly be seen."""


def frozen_encoder() -> DepthsEncoder:
    """EfficientNet-Lite0 in what is fast here, for `cells` only. Raises MissingPart without its package."""
    base = load_efficientnet(resolve("default/efficientnet-lite0"), dtype=fast_dtype("cpu"))
    return DepthsEncoder(base, torch.zeros(1000, 1))  # the classes' vectors, which `stored` does not read


def square(encoder: DepthsEncoder, drawings: Sequence[Drawing], side: int, bar: Progress) -> Tensor:
    """[B, (side / CELL)², C + PLACE] float16: square pictures seen with `side` pixels, and where a cell is."""
    own = encoder.fit
    assert isinstance(own, Letterbox)
    fit = Squash(size=side, mean=own.mean, std=own.std)
    where = LOUD * places(side // CELL)[OVERVIEWS:].half()
    kept = []
    for few in batched(drawings):
        seen = cells(encoder, [fit(drawing.picture) for drawing in few])
        kept.append(torch.cat([seen, where.expand(len(seen), -1, -1)], dim=-1))
        bar.advance(len(few))
    return torch.cat(kept)


def batched(drawings: Sequence[Drawing]) -> Iterator[Sequence[Drawing]]:
    """So many as are well encoded at once."""
    for start in range(0, len(drawings), BATCH):
        yield drawings[start : start + BATCH]


def cells(encoder: DepthsEncoder, pictures: Sequence[Views]) -> Tensor:
    """[B, N, C] float16, each depth normalised by itself; the cells of a picture's views follow each other, and zeros
    follow where it has fewer than others. Views may have any shape of whole cells."""
    shapes: dict[tuple[int, ...], list[View]] = {}
    for picture in pictures:
        for view in picture.views:
            shapes.setdefault(view.pixels.shape, []).append(view)
    seen: dict[int, Tensor] = {}
    for views in shapes.values():
        stored = encoder.stored([Views((view,), 0, 0) for view in views])
        blocks = torch.split(stored.float(), list(encoder.split), dim=-1)
        normal = torch.cat([F.layer_norm(block, block.shape[-1:]) for block in blocks], dim=-1).half()
        seen |= {id(view): each for view, each in zip(views, normal, strict=True)}
    return pad_sequence([torch.cat([seen[id(view)] for view in p.views]) for p in pictures], batch_first=True)
