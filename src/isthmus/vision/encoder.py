"""Encoders by name: pictures cut by their Fit go in, tokens that know where they looked come out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.errors import CorruptPart, FitMismatch, InputError
from isthmus.images.boxes import patch_boxes
from isthmus.images.processors import fit_from_config
from isthmus.images.views import Box, Fit, View, Views
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vision.features import Encoder, Features, Frame, pad
from isthmus.vision.importers import load_vision_tower
from isthmus.vision.packing import Grid, patchify
from isthmus.vision.vit import VisionTransformer


def load_encoder(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    layer: int | None = None,
    drop_class_token: bool = False,
) -> Encoder:
    """The frozen encoder `name`: `default/efficientnet-lite0`, a Hugging Face id, or a folder.

    dtype None is float32. `layer` and `drop_class_token` choose the tokens of a vision transformer as in VitEncoder.
    Raises MissingPart, CorruptPart as `resolve`; InputError where a choice does not apply.
    """
    if name.startswith("default/efficientnet"):
        if layer is not None or drop_class_token:
            raise InputError(f"{name} has no layers or class token to choose", todo="leave both out")
        return load_efficientnet(resolve(name), device=device, dtype=dtype)
    checkpoint = resolve(name)
    tower = load_vision_tower(checkpoint, device=device, dtype=dtype or torch.float32)
    return VitEncoder(
        name,
        tower,
        read_fit(checkpoint),
        weights=checkpoint.fingerprint,
        layer=layer,
        drop_class_token=drop_class_token,
    )


class VitEncoder:
    """A vision transformer as an Encoder. Tokens and pooled are in the tower's dtype, on its device.

    A picture's tokens are those of its views, one view after the other. `pooled` is the first view's, which is the
    overview wherever the Fit makes one. `layer`: which block's output the tokens are (VisionTransformer.packed; LLaVA
    reads -2); None: the architecture's own last tokens. `drop_class_token` leaves out class token and registers.
    """

    def __init__(
        self,
        name: str,
        tower: VisionTransformer,
        fit: Fit,
        *,
        weights: str,
        layer: int | None = None,
        drop_class_token: bool = False,
    ) -> None:
        """`weights`: the fingerprint of the checkpoint that the tower came from."""
        self.name, self.fit, self.width = name, fit, tower.config.width
        self.tower = tower.eval().requires_grad_(False)
        self.layer, self.drop_class_token = layer, drop_class_token
        self._weights = weights

    @property
    def net(self) -> nn.Module:
        """All its weights."""
        return self.tower

    @property
    def fingerprint(self) -> str:
        """Over weights, architecture, Fit and the choice of tokens. Not over dtype and device, which only round."""
        parts = [self._weights, asdict(self.tower.config), self.fit.fingerprint, self.layer, self.drop_class_token]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    # no_grad, not inference_mode: a connector trained on these tokens must be able to save them for its backward pass
    @torch.no_grad()
    def encode(self, views: Sequence[Views]) -> Features:
        """Features of B pictures, whose views may have any shapes: equal ones are batched, all are packed."""
        return self.traced(views)

    def traced(self, views: Sequence[Views]) -> Features:
        """As `encode`, with gradients to whatever of the tower was thawed."""
        flat = [view for picture in views for view in picture.views]
        patches, grids, order = self._patches(flat)
        out = self.tower.packed(patches, grids, self.layer)
        prefix = self.tower.config.prefix
        pieces = torch.split(out.tokens, [rows * columns + prefix for rows, columns in grids])
        place = sorted(range(len(order)), key=order.__getitem__)  # of each view among the packed ones
        skip = prefix if self.drop_class_token else 0
        tokens, boxes, firsts = [], [], []
        start = 0
        for picture in views:
            mine = range(start, start + len(picture.views))
            tokens.append(_join([pieces[place[at]][skip:] for at in mine]))
            boxes.append(_join([self._boxes(flat[at], grids[place[at]])[skip:] for at in mine]))
            firsts.append(place[start])
            start = mine.stop
        frames = [Frame(picture.width, picture.height, picture.grid) for picture in views]
        return pad(tokens, boxes, out.pooled[torch.tensor(firsts, device=out.pooled.device)], frames)

    def _patches(self, views: Sequence[View]) -> tuple[Tensor, list[Grid], list[int]]:
        """All views' patches [S, 3 P P], view after view, their grids, and which view stands where: equal shapes next
        to each other, each shape moved to the device at once."""
        shapes: dict[tuple[int, ...], list[int]] = {}
        for at, view in enumerate(views):
            shapes.setdefault(view.pixels.shape, []).append(at)
        weight = self.tower.patch_embed.weight
        patches, grids = [], []
        for members in shapes.values():
            stack = torch.from_numpy(np.stack([views[at].pixels for at in members]))
            cut, grid = patchify(stack.to(weight.device, weight.dtype), self.tower.config.patch)
            patches.append(cut.flatten(0, 1))
            grids += [grid] * len(members)
        if not patches:
            raise InputError("there is nothing to encode", why="no pictures were given")
        return _join(patches), grids, [at for members in shapes.values() for at in members]

    def _boxes(self, view: View, grid: Grid) -> Tensor:
        """[prefix + rows columns, 4]: the view's own box for each prefix token, then the patches'."""
        box, (rows, columns), patch = view.box, grid, self.tower.config.patch
        # The patches may leave out a rest at the right and the bottom (384 pixels in patches of 14: 6 of them).
        across, down = columns * patch / view.pixels.shape[2], rows * patch / view.pixels.shape[1]
        right, bottom = box.left + (box.right - box.left) * across, box.top + (box.bottom - box.top) * down
        patches = torch.from_numpy(patch_boxes(Box(box.left, box.top, right, bottom), rows, columns))
        whole = torch.tensor([[box.left, box.top, box.right, box.bottom]]).expand(self.tower.config.prefix, -1)
        return torch.cat([whole, patches])


def read_fit(checkpoint: Checkpoint) -> Fit:
    """The Fit a checkpoint was trained with, from its preprocessor_config.json. Raises CorruptPart where there is
    none, InputError where no Fit stands for it."""
    # A processor that was saved whole is named processor_config.json.
    config = checkpoint.json("preprocessor_config.json") or checkpoint.json("processor_config.json")
    if config is None:
        raise CorruptPart(
            f"{checkpoint.folder} does not say how pictures are prepared",
            why="it has no preprocessor_config.json",
            todo="take that file from the original model",
        )
    return fit_from_config(config)


def require_fit(expected: str, fit: Fit) -> None:
    """Raises FitMismatch unless `fit` has the fingerprint `expected`, the one a model or library was made with."""
    if fit.fingerprint != expected:
        raise FitMismatch(
            f"pictures are prepared by {fit} ({fit.fingerprint})",
            why=f"the model was made with the Fit {expected}",
            todo="use the Fit saved with the model, or make it again",
        )


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
