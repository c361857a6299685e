"""A model that was trained further: what it began as, by name, and all that was trained, in one file.

Connector, adapters and whatever else learned are saved together, so that no part of them is lost or comes from
elsewhere; what was frozen is not copied.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.checkpoints.trained import begun_as, fill, lasting_name, require_trained_fit, write_trained
from isthmus.vlm.adapters import MARK, OUTER, AdapterShape, add_adapters
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import Quantize, is_quantised

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
    origin = {"name": lasting_name(begun), "fingerprint": begun.fingerprint, "fit": model.encoder.fit.fingerprint}
    shape = asdict(adapters) if adapters is not None else None
    names = set(trained)
    if begun.config.get("model_type") == MODEL_TYPE:
        names |= begun.keys()
        origin, shape = begun.config["start"], begun.config["adapters"] or shape
    own = dict(model.named_parameters())
    quantize = "nf4" if is_quantised(model.language_model) else None
    config = {"model_type": MODEL_TYPE, "start": origin, "adapters": shape, "quantize": quantize, **(about or {})}
    write_trained(folder, {name: own[name] for name in sorted(names)}, config)


def load_tuned(
    checkpoint: Checkpoint,
    load: Callable[..., VisionLanguageModel],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The model of a folder that `save_tuned` wrote; `load` (load_vlm) gives what it began as. `quantize` None: its
    language model is as it was trained.

    Raises MissingPart where that is not there, CorruptPart where it is another one than was trained on, or the file
    does not fit it, FitMismatch where pictures would be prepared in another way.
    """
    start = begun_as(checkpoint, "adapters")
    quantize = quantize or checkpoint.config.get("quantize")
    model = load(start["name"], device=device, dtype=dtype, quantize=quantize)
    require_trained_fit(checkpoint.name, start["fit"], model.encoder.fit.fingerprint)
    shape = adapter_shape(checkpoint)
    if shape is not None:
        add_adapters(model.language_model, shape)
    fill(dict(model.named_parameters()), checkpoint.tensors(), checkpoint.name)
    model.name = checkpoint.name
    return model.requires_grad_(False).eval()


def adapter_shape(checkpoint: Checkpoint) -> AdapterShape | None:
    """Of the adapters in a folder that `save_tuned` wrote; None where it has none."""
    shape = checkpoint.config["adapters"]
    if shape is None:
        return None
    targets = shape["targets"]
    return AdapterShape(**{**shape, "targets": targets if isinstance(targets, str) else tuple(targets)})


def way_back(checkpoint: Checkpoint, load: Callable[..., VisionLanguageModel], alpha: float) -> dict[str, Tensor]:
    """What a folder holds that `save_tuned` wrote, `alpha` of the way from what the model began as (0) to itself (1).

    What adapters add is scaled as a whole, by their outer matrices: the weights, were they merged, lie on the line
    between the two. Raises as `load_tuned`.
    """
    start = begun_as(checkpoint, "adapters")
    model = load(start["name"], quantize=checkpoint.config.get("quantize"))
    own, mixed = dict(model.named_parameters()), {}
    for name, tensor in checkpoint.tensors().items():
        if OUTER in name:
            mixed[name] = tensor * alpha
        elif MARK in name:
            mixed[name] = tensor
        else:
            mixed[name] = torch.lerp(own[name].detach().cpu().float(), tensor.float(), alpha).to(tensor.dtype)
    return mixed
