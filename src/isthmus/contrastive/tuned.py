"""A dual encoder that was trained further: what it began as, by name, and all that was trained, in one file."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.checkpoints.trained import begun_as, fill, lasting_name, require_trained_fit, write_trained
from isthmus.contrastive.dual_encoder import DualEncoder
from isthmus.contrastive.embedder import Embedder
from isthmus.errors import CorruptPart
from isthmus.vision.encoder import VitEncoder

MODEL_TYPE = "isthmus-dual-encoder"


def parts_of(dual: DualEncoder) -> dict[str, nn.Module]:
    """All that has weights but scale and bias."""
    return {
        "image_tower": dual.pictures.tower,
        "image_head": dual.image_head,
        "text_tower": dual.text_tower,
        "text_head": dual.text_head,
    }


def save_tuned_dual(
    dual: DualEncoder,
    folder: Path,
    trained: frozenset[str],
    *,
    start: str,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes the parameters of the names `trained` ("text_tower.norm.bias"), scale and bias to model.safetensors, and
    config.json.

    `start`: what it was loaded as; where that was trained further itself, its own trained parameters are written too,
    and its folder is not needed again. `about`: lineage and measurements, as JSON. Raises MissingPart where the disk
    refuses.
    """
    begun = resolve(start)
    origin = {"name": lasting_name(begun), "fingerprint": begun.fingerprint, "fit": dual.fit.fingerprint}
    own = _parameters(dual)
    names = {name for name in trained if name in own}
    if begun.config.get("model_type") == MODEL_TYPE:
        names |= begun.keys() & own.keys()
        origin = begun.config["start"]
    tensors: dict[str, Tensor] = {name: own[name] for name in sorted(names)}
    tensors["scale"] = torch.tensor([dual.scale])
    if dual.bias is not None:
        tensors["bias"] = torch.tensor([dual.bias])
    write_trained(folder, tensors, {"model_type": MODEL_TYPE, "start": origin, **(about or {})})


def load_tuned_dual(
    checkpoint: Checkpoint,
    load: Callable[..., Embedder],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> DualEncoder:
    """The dual encoder of a folder that `save_tuned_dual` wrote, frozen; `load` (load_embedder) gives what it began as.

    Raises MissingPart where that is not there, CorruptPart where it is another one than was trained on, or the file
    does not fit it, FitMismatch where pictures would be prepared in another way.
    """
    start = begun_as(checkpoint)
    dual = load(start["name"], device=device, dtype=dtype)
    if not isinstance(dual, DualEncoder):
        raise CorruptPart(f"{start['name']}, which {checkpoint.name} began as, is no dual encoder of two towers")
    require_trained_fit(checkpoint.name, start["fit"], dual.fit.fingerprint)
    tensors = checkpoint.tensors()
    scale, bias = tensors.pop("scale", None), tensors.pop("bias", None)
    if scale is None:
        raise CorruptPart(f"{checkpoint.name} has no tensor scale", todo="train it again")
    fill(_parameters(dual), tensors, checkpoint.name)
    weights = hashlib.sha256(f"{start['fingerprint']}:{checkpoint.fingerprint}".encode()).hexdigest()
    return DualEncoder(
        pictures=VitEncoder(checkpoint.name, dual.pictures.tower, dual.fit, weights=weights),
        image_head=dual.image_head,
        text_tower=dual.text_tower,
        tokenizer=dual.tokenizer,
        text_head=dual.text_head,
        scale=scale.item(),
        bias=None if bias is None else bias.item(),
        weights=weights,
        languages=dual.languages,
    )


def _parameters(dual: DualEncoder) -> dict[str, nn.Parameter]:
    return {f"{part}.{name}": p for part, module in parts_of(dual).items() for name, p in module.named_parameters()}
