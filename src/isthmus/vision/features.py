"""What an encoder gives: tokens, a mask, and where in the picture each token looked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from isthmus.images.views import Fit, Views


@dataclass(frozen=True)
class Frame:
    """What is known of a picture before it is encoded: width and height of the original in pixels, and the (rows,
    columns) of its tiles, where its Fit tiles."""

    width: int
    height: int
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class Features:
    """Encoded pictures. B pictures, N tokens (padded to the longest), D width.

    tokens [B, N, D]; mask [B, N] bool, True where there is a token; boxes [B, N, 4] float32 (left, top, right,
    bottom in original pixels; a class token has its whole view's box); pooled [B, D_pooled], the encoder's own
    summary of the picture (class token, attention pooling or mean, as the architecture defines it). frames: of each
    picture; empty where nobody who reads the features needs them.
    """

    tokens: Tensor
    mask: Tensor
    boxes: Tensor
    pooled: Tensor
    frames: tuple[Frame, ...] = ()


class Encoder(Protocol):
    """A frozen map from Views to Features. `fit` is the Fit it was trained with."""

    name: str
    fit: Fit
    width: int

    @property
    def net(self) -> nn.Module:
        """All its weights: what a seal is taken of."""

    @property
    def fingerprint(self) -> str:
        """Hex hash over weights, architecture and Fit: features under different fingerprints never mix."""

    def encode(self, views: Sequence[Views]) -> Features: ...


def unboxed(tokens: Tensor, pooled: Tensor | None = None) -> Features:
    """tokens [B, N, D], none of them padding -> Features whose boxes are zeros, for who reads none. `pooled` None: the
    first token."""
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    return Features(tokens, mask, tokens.new_zeros(*tokens.shape[:2], 4), tokens[:, 0] if pooled is None else pooled)


def pad(tokens: Sequence[Tensor], boxes: Sequence[Tensor], pooled: Tensor, frames: Sequence[Frame] = ()) -> Features:
    """Features of B pictures from each one's tokens [N_i, D] and boxes [N_i, 4]; zeros fill up to the longest."""
    counts = torch.tensor([len(each) for each in tokens])
    mask = torch.arange(int(counts.max())) < counts[:, None]
    device = pooled.device
    return Features(
        tokens=pad_sequence(list(tokens), batch_first=True),
        mask=mask.to(device),
        boxes=pad_sequence(list(boxes), batch_first=True).to(device),
        pooled=pooled,
        frames=tuple(frames),
    )
