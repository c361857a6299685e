"""Pictures and texts in one space: dual encoders, the losses that train them, retrieval metrics, zero-shot
classes."""

from isthmus.contrastive.embedder import Embedder
from isthmus.contrastive.load import load_embedder

__all__ = ["Embedder", "load_embedder"]
