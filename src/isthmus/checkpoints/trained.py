"""Folders of what was trained: what it began as, known by name, weights and Fit, and what was learned."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.checkpoints.cache import written_whole
from isthmus.checkpoints.checkpoint import Checkpoint
from isthmus.checkpoints.resolve import resolve
from isthmus.errors import CorruptPart, FitMismatch

if TYPE_CHECKING:
    from torch import Tensor


def lasting_name(begun: Checkpoint) -> str:
    """A folder from wherever it is called; other names as they are."""
    return str(begun.folder.resolve()) if begun.origin == "folder" else begun.name


def begun_as(checkpoint: Checkpoint, *needed: str) -> dict[str, str]:
    """ "name", "fingerprint" and "fit" of what the model of that folder began as, which is there and unchanged.

    `needed`: other keys that config.json has to have. Raises CorruptPart where one is missing or the weights are
    others, MissingPart where what it began as is not there.
    """
    try:
        for key in needed:
            checkpoint.config[key]
        start = {key: str(checkpoint.config["start"][key]) for key in ("name", "fingerprint", "fit")}
    except (KeyError, TypeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no trained model", why=f"no {error} in config.json") from None
    if resolve(start["name"]).fingerprint != start["fingerprint"]:
        raise CorruptPart(
            f"{start['name']} is not what {checkpoint.name} was trained on",
            why="its weights have another fingerprint",
            todo="give the model it began with",
        )
    return start


def require_trained_fit(name: str, expected: str, found: str) -> None:
    """Raises FitMismatch unless pictures are prepared as those that the model `name` was trained on."""
    if found != expected:
        raise FitMismatch(
            f"{name} was trained with another Fit", why=f"{expected} instead of {found}", todo="train it again"
        )


def fill(own: "Mapping[str, Tensor]", tensors: "Mapping[str, Tensor]", name: str) -> None:
    """Writes what was learned into a model's parameters. Raises CorruptPart where a tensor has no place in it."""
    import torch

    with torch.no_grad():
        for key, value in tensors.items():
            if key not in own or own[key].shape != value.shape:
                raise CorruptPart(
                    f"{name} has a tensor {key} that does not fit what it began as", todo="train it again"
                )
            own[key].copy_(value)


def write_trained(folder: Path, tensors: "Mapping[str, Tensor]", config: Mapping[str, Any]) -> None:
    """model.safetensors and config.json. Raises MissingPart where the disk refuses."""
    from safetensors.torch import save_file

    with written_whole(folder / "model.safetensors") as temporary:
        save_file({name: each.detach().cpu().contiguous() for name, each in tensors.items()}, temporary)
    with written_whole(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
