"""The default encoder read at all depths: what each stage of EfficientNet-Lite saw in each cell of its last grid.

A classifier of photographs forgets stroke, colour and place towards its end; drawings and positions are made of them.
So a token holds four blocks, each normalised by itself: the last grid's features of its cell, and what three earlier
stages saw within it; then the class evidence of the cell (the classes' vectors, weighted by their probabilities there)
and where it lies. Two overview tokens come first, of the mean and of the maximum over all cells, in the same blocks.

Notation: B pictures, N cells (49), C stored numbers a cell, D width of a token.
"""

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.images.boxes import patch_boxes
from isthmus.images.fits import Letterbox
from isthmus.images.views import Fit, Views
from isthmus.vision.efficientnet import WIDTH, EfficientNetEncoder
from isthmus.vision.features import Features

OVERVIEWS = 2
FREQUENCIES = 8
PLACE = 4 * FREQUENCIES
CERTAIN, STEPS = 4.0, 6
"""By how much at most the logit of an imagined class is made to exceed the others', and in how many steps."""
TEMPERATURE = 2.0
"""Divides the class logits: what the classifier thinks likely beside its first guess counts too."""


class DepthsEncoder:
    """Encoder with `OVERVIEWS` + N tokens of width D = 1280 + C_earlier + width of a class vector + PLACE.

    `stored` is all it needs to know of a picture, [B, N, C] in half precision; `tokens` makes the rest from it, so that
    features kept for training take a third of the room.
    """

    def __init__(self, base: EfficientNetEncoder, classes: Tensor) -> None:
        """classes [1000, D_class]: a unit vector of each class's name, from a text encoder."""
        self.base, self.name, self.fit = base, f"{base.name}, all depths", base.fit
        weight = base.net.stem.conv.weight
        self.classes = classes.to(weight.device, torch.float32)
        fine, middle, _, coarse, _, last = base.channels
        # finer grids within a cell: the 2 x 2 of the stage before the last two, mean and maximum of the two finest
        assert isinstance(base.fit, Letterbox)
        self.side = -(-base.fit.size // 32)
        self.split = (last, 4 * coarse, 2 * middle, 2 * fine)
        self.width = WIDTH + sum(self.split[1:]) + classes.shape[1] + PLACE

    fit: Fit

    @property
    def net(self) -> nn.Module:
        """All its weights."""
        return self.base.net

    @property
    def num_tokens(self) -> int:
        """Of every picture: its Fit makes one square view."""
        return OVERVIEWS + self.side**2

    @property
    def fingerprint(self) -> str:
        """Over the network's weights, its Fit, and the classes' vectors."""
        seen = hashlib.sha256(self.classes.cpu().numpy().tobytes()).hexdigest()[:16]
        return hashlib.sha256(f"depths 1:{self.base.fingerprint}:{seen}".encode()).hexdigest()[:16]

    @torch.no_grad()
    def encode(self, views: Sequence[Views]) -> Features:
        """Features of B pictures of one view each, float32. Raises InputError where there are none or more views."""
        stored = self.stored(views)
        tokens = self.tokens(stored).float()
        side = round(stored.shape[1] ** 0.5)
        boxes = []
        for picture in views:
            box = picture.views[0].box
            whole = torch.tensor([[box.left, box.top, box.right, box.bottom]]).expand(OVERVIEWS, -1)
            boxes.append(torch.cat([whole, torch.from_numpy(patch_boxes(box, side, side))]))
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Features(tokens, mask, torch.stack(boxes).to(tokens.device), tokens[:, 0, :WIDTH])

    @torch.no_grad()
    def stored(self, views: Sequence[Views]) -> Tensor:
        """[B, N, C] float16: of each cell, the narrow last stage and what the earlier ones saw within it."""
        if any(len(picture.views) != 1 for picture in views):
            raise InputError("this encoder takes one view a picture", todo="use its own Fit")
        out: list[Tensor | None] = [None] * len(views)
        for members, pixels in self.base.by_shape([picture.views[0] for picture in views]):
            fine, middle, _, coarse, _, last, _ = self.base.net.levels(pixels)
            parts = [last, F.pixel_unshuffle(coarse, 2)]
            for grid in (middle, fine):
                step = grid.shape[-1] // last.shape[-1]
                parts += [F.avg_pool2d(grid, step), F.max_pool2d(grid, step)]
            cells = torch.cat(parts, dim=1).flatten(2).transpose(1, 2).half()
            for at, each in zip(members, cells, strict=True):
                out[at] = each
        return torch.stack([each for each in out if each is not None])

    @torch.no_grad()
    def tokens(self, stored: Tensor, imagined: Tensor | None = None) -> Tensor:
        """stored [B, N, C] -> tokens [B, OVERVIEWS + N, D] in the network's dtype. Deterministic: kept
        features stay equal.

        `imagined` [B] int64: a class to imagine in each picture, or -1. The last grid is moved in some cells along the
        class's own row of the classifier until that class is the likeliest: so would a photograph of it have looked to
        the classifier, of which there may be none to train on.
        """
        blocks = self._blocks(stored, imagined)
        cells = torch.cat([*(F.layer_norm(b, b.shape[-1:]) for b in blocks), self._evidence(blocks[0])], dim=-1)
        place = places(round(stored.shape[1] ** 0.5)).to(cells)
        tokens = torch.cat([self._over(blocks), cells], dim=1)
        return torch.cat([tokens, place.expand(len(stored), -1, -1)], dim=-1)

    @torch.no_grad()
    def overview(self, stored: Tensor, imagined: Tensor | None = None) -> Tensor:
        """The first OVERVIEWS of `tokens` alone, at a fifth of the work."""
        over = self._over(self._blocks(stored, imagined))
        return F.pad(over, (0, PLACE))

    def _blocks(self, stored: Tensor, imagined: Tensor | None) -> list[Tensor]:
        """The last grid and what earlier stages saw, [B, N, C] each."""
        head = self.base.net.head.conv
        last, *earlier = torch.split(stored.to(head.weight.dtype), list(self.split), dim=-1)
        grid = F.relu6(F.linear(last, head.weight.flatten(1), head.bias))
        if imagined is not None:
            which = (imagined >= 0).nonzero().squeeze(1).to(grid.device)
            grid[which] = self._imagine(grid[which], imagined[which.to(imagined.device)].to(grid.device))
        return [grid, *earlier]

    def _over(self, blocks: list[Tensor]) -> Tensor:
        """[B, OVERVIEWS, D - PLACE]."""
        overview = [torch.cat([b.mean(1, keepdim=True), b.amax(1, keepdim=True)], dim=1) for b in blocks]
        whole = self._evidence(overview[0][:, :1]).expand(-1, OVERVIEWS, -1)
        return torch.cat([*(F.layer_norm(b, b.shape[-1:]) for b in overview), whole], dim=-1)

    def _imagine(self, grid: Tensor, classes: Tensor) -> Tensor:
        dtype, grid = grid.dtype, grid.float()
        rows = self.base.net.classifier.weight.float()[classes]
        # in a window of the grid, as things stand in pictures, and there the more
        place = torch.arange(self.side, device=grid.device)
        low = torch.rand(2, len(grid), 1, device=grid.device) * self.side * 0.6
        size = (0.3 + 0.7 * torch.rand(2, len(grid), 1, device=grid.device)) * self.side
        down, across = ((place >= low) & (place < low + size)).float()
        window = (down[:, :, None] * across[:, None, :]).flatten(1)
        along = window[..., None] * rows[:, None]
        along = along / (rows.square().sum(1) * window.mean(1)).clamp(min=1e-6)[:, None, None]
        margin = torch.rand(len(grid), device=grid.device) * CERTAIN
        for _ in range(STEPS):  # the clamp takes back a part of each
            logits = self.base.classify(grid.mean(1))
            own = classes[:, None]
            short = logits.scatter(1, own, -torch.inf).amax(1) + margin - logits.gather(1, own)[:, 0]
            grid = (grid + short.clamp(min=0)[:, None, None] * along).clamp(0, 6)
        return grid.to(dtype)

    def _evidence(self, grid: Tensor) -> Tensor:
        """[B, N, 1280] -> [B, N, D_class], of about unit variance."""
        head = self.base.net.classifier
        probabilities = (F.linear(grid, head.weight, head.bias) / TEMPERATURE).softmax(-1)
        mixed: Tensor = F.normalize(probabilities @ self.classes.to(grid.dtype), dim=-1)
        return mixed * math.sqrt(self.classes.shape[1])


def places(side: int) -> Tensor:
    """[OVERVIEWS + side², PLACE]: sines and cosines of each cell's centre, zeros for the overview tokens."""
    centres = (torch.arange(side) + 0.5) / side
    angles = centres[:, None] * torch.pi * 2.0 ** (torch.arange(FREQUENCIES) / 2 - 1)
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1)  # [side, 2 FREQUENCIES]
    down, across = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return torch.cat([torch.zeros(OVERVIEWS, PLACE), torch.cat([down, across], dim=-1).flatten(0, 1)])
