"""`resolve(name)`: a default part, a folder, or a Hugging Face id."""

from pathlib import Path

from isthmus.checkpoints.checkpoint import Checkpoint
from isthmus.errors import MissingPart


def resolve(name: str) -> Checkpoint:
    """The checkpoint of that name, on disk and verified."""
    if Path(name).is_dir():
        return Checkpoint(name=name, folder=Path(name), origin="folder")
    raise MissingPart(f"no model named {name}")
