"""Embedder: pictures and texts to one space. The contract the photo library and the evaluations rely on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from isthmus.images.views import Fit, Views

if TYPE_CHECKING:  # who searches with words alone goes without it (`words.py`)
    from torch import Tensor


class Embedder(Protocol):
    """Maps pictures and texts to unit vectors whose dot product is their similarity."""

    name: str
    dim: int
    fit: Fit
    languages: frozenset[str] | None
    """ISO 639-1 codes of what texts may be in; None where that is not known."""

    @property
    def fingerprint(self) -> str:
        """Hex hash over all weights and the Fit: vectors under different fingerprints are never compared."""

    def images(self, views: Sequence[Views]) -> "Tensor":
        """[B, dim] float32, unit length, on the embedder's device."""

    def texts(self, texts: Sequence[str]) -> "Tensor":
        """[B, dim] float32, unit length, on the embedder's device."""
