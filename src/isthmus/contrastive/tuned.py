"""A dual encoder that was trained further: what it began as, by name, and all that was trained, in one file."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.checkpoints.cache import written_whole
from isthmus.contrastive.dual_encoder import DualEncoder
from isthmus.contrastive.embedder import Embedder
from isthmus.errors import CorruptPart, FitMismatch
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
    where = str(begun.folder.resolve()) if begun.origin == "folder" else start
    origin = {"name": where, "fingerprint": begun.fingerprint, "fit": dual.fit.fingerprint}
    own = _parameters(dual)
    names = {name for name in trained if name in own}
    if begun.config.get("model_type") == MODEL_TYPE:
        names |= begun.keys() & own.keys()
        origin = begun.config["start"]
    tensors = {name: own[name].detach().cpu().contiguous() for name in sorted(names)}
    tensors["scale"] = torch.tensor([dual.scale])
    if dual.bias is not None:
        tensors["bias"] = torch.tensor([dual.bias])
    with written_whole(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary)
    config = {"model_type": MODEL_TYPE, "start": origin, **(about or {})}
    with written_whole(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
    try:
        start = checkpoint.config["start"]
        name, fingerprint, fit = str(start["name"]), start["fingerprint"], start["fit"]
    except (KeyError, TypeError) as error:
        raise CorruptPart(f"{checkpoint.folder} holds no trained model", why=f"no {error} in config.json") from None
    if resolve(name).fingerprint != fingerprint:
        raise CorruptPart(
            f"{name} is not what {checkpoint.name} was trained on",
            why="its weights have another fingerprint",
            todo="give the model it began with",
        )
    dual = load(name, device=device, dtype=dtype)
    if not isinstance(dual, DualEncoder):
        raise CorruptPart(f"{name}, which {checkpoint.name} began as, is no dual encoder of two towers")
    if dual.fit.fingerprint != fit:
        raise FitMismatch(
            f"{checkpoint.name} was trained with another Fit",
            why=f"{fit} instead of {dual.fit.fingerprint}",
            todo="train it again",
        )
    tensors = checkpoint.tensors()
    scale, bias = tensors.pop("scale", None), tensors.pop("bias", None)
    if scale is None:
        raise CorruptPart(f"{checkpoint.name} has no tensor scale", todo="train it again")
    _fill(_parameters(dual), tensors, checkpoint.name)
    weights = hashlib.sha256(f"{fingerprint}:{checkpoint.fingerprint}".encode()).hexdigest()
    return DualEncoder(
        pictures=VitEncoder(checkpoint.name, dual.pictures.tower, dual.fit, weights=weights),
        image_head=dual.image_head,
        text_tower=dual.text_tower,
        tokenizer=dual.tokenizer,
        text_head=dual.text_head,
        scale=scale.item(),
        bias=None if bias is None else bias.item(),
        weights=weights,
    )


def _parameters(dual: DualEncoder) -> dict[str, nn.Parameter]:
    return {f"{part}.{name}": p for part, module in parts_of(dual).items() for name, p in module.named_parameters()}


@torch.no_grad()
def _fill(own: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor], name: str) -> None:
    for key, value in tensors.items():
        if key not in own or own[key].shape != value.shape:
            raise CorruptPart(f"{name} has a tensor {key} that does not fit what it began as", todo="train it again")
        own[key].copy_(value)
