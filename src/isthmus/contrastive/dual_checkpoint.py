"""Dual encoders out of Hugging Face checkpoints, by `model_type`, and out of open_clip's."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from isthmus.checkpoints import Checkpoint
from isthmus.contrastive import open_clip
from isthmus.contrastive.dual_encoder import DualEncoder
from isthmus.contrastive.text import TextConfig
from isthmus.contrastive.text_checkpoint import bert_text, build_text, clip_text, linear, pick, siglip_text, text_prefix
from isthmus.contrastive.tokenizer import Cleaning, Tokenizer, load_tokenizer
from isthmus.errors import CorruptPart, InputError
from isthmus.vision.encoder import VitEncoder, read_fit
from isthmus.vision.importers import load_vision_tower

SUPPORTED = ("clip", "siglip", "siglip2", "chinese_clip", "vision-text-dual-encoder")
"""Values of `model_type`; besides them, open_clip's layout with an XLM-R or BERT text tower."""


OPENAI_VOCABULARY = 49_408
"""Pieces of CLIP's own tokenizer, which was made of English."""


def load_dual_encoder(
    checkpoint: Checkpoint, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> DualEncoder:
    """The dual encoder of a checkpoint, frozen. `dtype` None: float32, whatever the weights are stored in.

    Raises InputError for a model of another kind, CorruptPart where files do not fit together.
    """
    dtype = dtype or torch.float32
    if open_clip.is_layout(checkpoint):
        return open_clip.load(checkpoint, device=device, dtype=dtype)
    config = checkpoint.config
    kind = config.get("model_type")
    if kind not in SUPPORTED:
        raise InputError(
            f"{checkpoint.name} is no dual encoder that can be read",
            why=f"its model_type is {kind}",
            todo=f"supported: {', '.join(SUPPORTED)}, and open_clip with an XLM-R text tower",
        )
    section = _text_section(config)
    text = _text_config(kind, section)
    vision = load_vision_tower(checkpoint, device=device, dtype=dtype)
    logits = checkpoint.tensors("logit_")
    sigmoid = kind in ("siglip", "siglip2")
    return DualEncoder(
        pictures=VitEncoder(checkpoint.name, vision, read_fit(checkpoint), weights=checkpoint.fingerprint),
        image_head=nn.Identity() if sigmoid else _projection(checkpoint, "visual_projection", device, dtype),
        text_tower=build_text(text, checkpoint.tensors(text_prefix(checkpoint)), device=device, dtype=dtype),
        tokenizer=_tokenizer(checkpoint, text, section, sigmoid),
        text_head=nn.Identity() if sigmoid else _projection(checkpoint, "text_projection", device, dtype),
        scale=pick(logits, "scale").float().exp().item(),
        bias=pick(logits, "bias").item() if sigmoid else None,
        weights=checkpoint.fingerprint,
        languages=frozenset({"en"}) if kind == "clip" and text.vocabulary == OPENAI_VOCABULARY else None,
    )


def _text_section(config: Mapping[str, Any]) -> Mapping[str, Any]:
    # Old CLIP conversions carry a second dict, and it is the one that counts, its omissions included.
    older = config.get("text_config_dict")
    section = older if older is not None else config.get("text_config") or {}
    if not isinstance(section, dict):
        raise CorruptPart("text_config in config.json is no object", todo="fetch the model again")
    return section


def _text_config(kind: str, section: Mapping[str, Any]) -> TextConfig:
    match kind:
        case "clip":
            return clip_text(section)
        case "siglip" | "siglip2":
            return siglip_text(section)
        case "chinese_clip":
            return bert_text(section, "first")
    inner = section.get("model_type")
    if inner not in ("bert", "xlm-roberta", "roberta"):
        raise InputError(
            f"a vision-text-dual-encoder with a {inner} text tower cannot be read",
            todo="supported text towers: bert, roberta, xlm-roberta",
        )
    return bert_text(section, "tanh")


def _tokenizer(checkpoint: Checkpoint, text: TextConfig, section: Mapping[str, Any], sigmoid: bool) -> Tokenizer:
    return load_tokenizer(
        checkpoint,
        max_tokens=text.max_tokens,
        fixed=sigmoid,
        cleaning=_siglip_cleaning(checkpoint) if sigmoid else "none",
        padding=section.get("pad_token_id"),
    )


def _siglip_cleaning(checkpoint: Checkpoint) -> Cleaning:
    """SigLIP was trained on lower case without punctuation; SigLIP 2, on Gemma's vocabulary, on lower case
    alone.

    The tokenizer tells them apart, for SigLIP 2 at fixed size calls its model "siglip" too.
    """
    name = str((checkpoint.json("tokenizer_config.json") or {}).get("tokenizer_class"))
    return "lower" if name.startswith(("Gemma", "Siglip2")) else "canonical"


def _projection(checkpoint: Checkpoint, name: str, device: str | torch.device, dtype: torch.dtype) -> nn.Linear:
    return linear(pick(checkpoint.tensors(f"{name}."), "weight"), device, dtype)
