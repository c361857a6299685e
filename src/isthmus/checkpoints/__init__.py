"""Where weights come from: `resolve(name)` gives a verified Checkpoint on disk."""

from isthmus.checkpoints.checkpoint import Checkpoint
from isthmus.checkpoints.resolve import resolve

__all__ = ["Checkpoint", "resolve"]
