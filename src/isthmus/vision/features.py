"""What an encoder gives: tokens, a mask, and where in the picture each token looked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from isthmus.images.views import Fit, Views


@dataclass(frozen=True)
class Features:
    """Encoded pictures. B pictures, N tokens (padded to the longest), D width.

    tokens [B, N, D]; mask [B, N] bool, True where there is a token; boxes [B, N, 4] float32 (left, top, right,
    bottom in original pixels; a class token has its whole view's box); pooled [B, D_pooled], the encoder's own
    summary of the picture (class token, attention pooling or mean, as the architecture defines it).
    """

    tokens: Tensor
    mask: Tensor
    boxes: Tensor
    pooled: Tensor


class Encoder(Protocol):
    """A frozen map from Views to Features. `fit` is the Fit it was trained with."""

    name: str
    fit: Fit
    width: int

    @property
    def fingerprint(self) -> str:
        """Hex hash over weights, architecture and Fit: features under different fingerprints never mix."""

    def encode(self, views: Sequence[Views]) -> Features: ...
