"""A dual encoder as a folder in Hugging Face layout, which `transformers` loads."""

import json
import shutil
from pathlib import Path
from typing import Literal

from huggingface_hub import save_torch_state_dict
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.checkpoints.checkpoint import INDEX
from isthmus.contrastive import open_clip
from isthmus.contrastive.dual_encoder import DualEncoder
from isthmus.contrastive.text_checkpoint import export_text, text_prefix
from isthmus.contrastive.tuned import MODEL_TYPE
from isthmus.errors import InputError
from isthmus.vision.importers import export_tower, vision_prefix

EXPORTED = ("clip", "siglip")
"""Values of `model_type`."""


def origin_of(start: str) -> Checkpoint:
    """What a dual encoder began as before any training of ours."""
    checkpoint = resolve(start)
    tuned = (checkpoint.json("config.json") or {}).get("model_type") == MODEL_TYPE
    return resolve(str(checkpoint.config["start"]["name"])) if tuned else checkpoint


def require_exportable(start: str) -> None:
    """Raises InputError where dual encoders that began so cannot be written by `export_dual`."""
    checkpoint = origin_of(start)
    kind = (checkpoint.json("config.json") or {}).get("model_type")
    if kind not in EXPORTED or open_clip.is_layout(checkpoint):
        raise InputError(
            f"what begins as {start} cannot be written in Hugging Face layout",
            why=f"that is written of {' and '.join(EXPORTED)}, not of {kind}",
            todo="leave out export; load_embedder reads the folder all the same",
        )


def export_dual(dual: DualEncoder, start: str, folder: Path, *, max_shard_size: str = "5GB") -> None:
    """Writes `dual`, which began as `start`: its weights under that checkpoint's names, beside that one's config,
    tokenizer and picture preparation. Raises InputError as `require_exportable`, and where the sigmoid's bias has no
    place in the layout."""
    require_exportable(start)
    origin = origin_of(start)
    state = origin.tensors()
    kind: Literal["clip", "siglip"] = "siglip" if origin.config["model_type"] == "siglip" else "clip"
    if (dual.bias is not None) != ("logit_bias" in state):
        raise InputError(
            "a bias belongs to a sigmoid's logits, and none to a softmax's",
            why=f"{origin.name} is a {kind} and was trained with the other loss",
            todo="leave out export; load_embedder reads the folder all the same",
        )
    vision, text = vision_prefix(origin), text_prefix(origin)
    ours: dict[str, Tensor] = {
        **{f"{vision}{key}": each for key, each in export_tower(dual.pictures.tower, kind).items()},
        **{f"{text}{key}": each for key, each in export_text(dual.text_tower).items()},
    }
    for name, head in (("visual_projection", dual.image_head), ("text_projection", dual.text_head)):
        if isinstance(head, nn.Linear):
            ours[f"{name}.weight"] = head.weight
    ours["logit_scale"] = state["logit_scale"].new_tensor(dual.scale).double().log().float()
    if dual.bias is not None:
        ours["logit_bias"] = state["logit_bias"].new_tensor(dual.bias)
    state |= {
        key: each.detach().cpu().reshape(state[key].shape).contiguous() if key in state else each.detach().cpu()
        for key, each in ours.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.json", "*.txt", "*.model", "*.jinja"):
        for file in origin.folder.glob(pattern):
            if file.name not in ("config.json", INDEX):
                shutil.copyfile(file, folder / file.name)
    config = {key: each for key, each in origin.config.items() if key != "torch_dtype"} | {"dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_torch_state_dict(
        {key: each.float() if each.is_floating_point() else each for key, each in state.items()},
        folder,
        max_shard_size=max_shard_size,
    )
