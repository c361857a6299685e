"""A model that was trained further: what it began as, by name, and all that was trained, in one file.

Connector, adapters and whatever else learned are saved together, so that no part of them is lost or comes from
elsewhere; what was frozen is not copied.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.checkpoints.cache import written_whole
from isthmus.errors import CorruptPart, FitMismatch
from isthmus.vlm.adapters import AdapterShape, add_adapters
from isthmus.vlm.model import VisionLanguageModel

MODEL_TYPE = "isthmus-tuned"


def save_tuned(
    model: VisionLanguageModel,
    folder: Path,
    trained: Collection[str],
    *,
    start: str,
    adapters: AdapterShape | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes the parameters of the names `trained`, in their dtype, to model.safetensors, and config.json.

    `start`: what the model was loaded as; where that was trained further itself, its own trained parameters are written
    too, and its folder is not needed again. `adapters`: the shape of those that were added since. `about`: lineage and
    measurements, as JSON. Raises MissingPart where the disk refuses.
    """
    begun = resolve(start)
    where = str(begun.folder.resolve()) if begun.origin == "folder" else start
    origin = {"name": where, "fingerprint": begun.fingerprint, "fit": model.encoder.fit.fingerprint}
    shape = asdict(adapters) if adapters is not None else None
    names = set(trained)
    if begun.config.get("model_type") == MODEL_TYPE:
        names |= begun.keys()
        origin, shape = begun.config["start"], begun.config["adapters"] or shape
    own = dict(model.named_parameters())
    with written_whole(folder / "model.safetensors") as temporary:
        save_file({name: own[name].detach().cpu().contiguous() for name in sorted(names)}, temporary)
    config = {"model_type": MODEL_TYPE, "start": origin, "adapters": shape, **(about or {})}
    with written_whole(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_tuned(
    checkpoint: Checkpoint,
    load: Callable[..., VisionLanguageModel],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> VisionLanguageModel:
    """The model of a folder that `save_tuned` wrote; `load` (load_vlm) gives what it began as.

    Raises MissingPart where that is not there, CorruptPart where it is another one than was trained on, or the file
    does not fit it, FitMismatch where pictures would be prepared in another way.
    """
    config = checkpoint.config
    try:
        start, shape = config["start"], config["adapters"]
        name: str = start["name"]
    except (KeyError, TypeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no trained model", why=f"no {error} in config.json") from None
    if resolve(name).fingerprint != start["fingerprint"]:
        raise CorruptPart(
            f"{name} is not what {checkpoint.name} was trained on",
            why="its weights have another fingerprint",
            todo="give the model it began with",
        )
    model = load(name, device=device, dtype=dtype)
    if model.encoder.fit.fingerprint != start["fit"]:
        raise FitMismatch(
            f"{checkpoint.name} was trained with another Fit",
            why=f"{start['fit']} instead of {model.encoder.fit.fingerprint}",
            todo="train it again",
        )
    if shape is not None:
        targets = shape["targets"]
        add_adapters(
            model.language_model,
            AdapterShape(**{**shape, "targets": targets if isinstance(targets, str) else tuple(targets)}),
        )
    _fill(model, checkpoint.tensors(), checkpoint.name)
    model.name = checkpoint.name
    return model.requires_grad_(False).eval()


@torch.no_grad()
def _fill(model: VisionLanguageModel, tensors: Mapping[str, Tensor], name: str) -> None:
    own = dict(model.named_parameters())
    for key, value in tensors.items():
        if key not in own or own[key].shape != value.shape:
            raise CorruptPart(f"{name} has a tensor {key} that does not fit what it began as", todo="train it again")
        own[key].copy_(value)
