"""open_clip's own layout, for its multilingual models: a ViT of OpenAI's names and an XLM-R or BERT text
tower.

open_clip_config.json says the sizes of the picture tower; the text tower's are known by its Hugging Face
name, which the file gives, and read off the weights. Source of the layout:
https://github.com/mlfoundations/open_clip, hf_model.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checkpoints import Checkpoint
from isthmus.contrastive.dual_encoder import DualEncoder
from isthmus.contrastive.text import Pool, TextConfig
from isthmus.contrastive.text_checkpoint import build_text, linear, pick
from isthmus.contrastive.tokenizer import load_tokenizer
from isthmus.errors import CorruptPart, InputError
from isthmus.images.fits import CLIP_MEAN, CLIP_STD, Crop, Squash
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.importers import Names, build_tower
from isthmus.vision.vit import VisionConfig, VisionTransformer

CONFIG = "open_clip_config.json"
CONTEXT = 77
"""Tokens of a text where the config gives no `context_length`: open_clip's default."""
_TEXT = "text.transformer."
_TEXT_KEY = f"{_TEXT}embeddings.word_embeddings.weight"
_POOLERS: Mapping[str, Pool] = {"mean_pooler": "mean", "cls_pooler": "tanh"}
_VISION_NAMES: Names = {
    "patch_embed.weight": ("conv1.weight",),
    "class_token": ("class_embedding",),
    "positions": ("positional_embedding",),
    "pre_norm": ("ln_pre",),
    "blocks.{}.norm1": ("transformer.resblocks.{}.ln_1",),
    "blocks.{}.attention.qkv.weight": ("transformer.resblocks.{}.attn.in_proj_weight",),
    "blocks.{}.attention.qkv.bias": ("transformer.resblocks.{}.attn.in_proj_bias",),
    "blocks.{}.attention.out": ("transformer.resblocks.{}.attn.out_proj",),
    "blocks.{}.norm2": ("transformer.resblocks.{}.ln_2",),
    "blocks.{}.mlp.up": ("transformer.resblocks.{}.mlp.c_fc",),
    "blocks.{}.mlp.down": ("transformer.resblocks.{}.mlp.c_proj",),
    "norm": ("ln_post",),
}


def is_layout(checkpoint: Checkpoint) -> bool:
    """Whether the weights are in this layout. Repositories often hold open_clip's and Hugging Face's files at
    once."""
    if checkpoint.path(CONFIG) is None:
        return False
    names = checkpoint.keys()
    return "visual.conv1.weight" in names


def load(checkpoint: Checkpoint, *, device: str | torch.device, dtype: torch.dtype) -> DualEncoder:
    """The dual encoder in open_clip's layout.

    Raises InputError for a text tower other than BERT's or XLM-R's, CorruptPart where files do not fit
    together.
    """
    settings = checkpoint.json(CONFIG) or {}
    model = settings.get("model_cfg", {})
    names = checkpoint.keys()
    if _TEXT_KEY not in names:
        raise InputError(
            f"{checkpoint.name} is an open_clip model without an XLM-R or BERT text tower",
            todo="take its Hugging Face version, model_type clip or siglip",
        )
    vision, image_head = _vision(checkpoint, model, device, dtype)
    text, text_head = model.get("text_cfg", {}), _text_head(checkpoint.tensors("text.proj."), device, dtype)
    tensors = checkpoint.tensors(_TEXT)
    config = _text_config(text, tensors)
    tower = build_text(config, tensors, device=device, dtype=dtype)
    limit = min(int(text.get("context_length", CONTEXT)), config.max_tokens)
    return DualEncoder(
        pictures=VitEncoder(checkpoint.name, vision, _fit(model, settings), weights=checkpoint.fingerprint),
        image_head=image_head,
        text_tower=tower,
        tokenizer=load_tokenizer(checkpoint, max_tokens=limit, padding=config.padding),
        text_head=text_head,
        scale=pick(checkpoint.tensors("logit_"), "scale").float().exp().item(),
        bias=None,
        weights=checkpoint.fingerprint,
    )


def _vision(
    checkpoint: Checkpoint, model: Mapping[str, Any], device: str | torch.device, dtype: torch.dtype
) -> tuple[VisionTransformer, nn.Linear]:
    settings: Mapping[str, Any] = model.get("vision_cfg", {})
    strange = sorted(set(settings) - {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"})
    if strange or not isinstance(settings.get("layers"), int):
        raise InputError(
            f"{checkpoint.name} has a picture tower that cannot be read",
            why=f"its vision_cfg has {strange[0]}" if strange else "it is no plain vision transformer",
        )
    width, patch = settings["width"], settings["patch_size"]
    config = VisionConfig(
        width=width,
        layers=settings["layers"],
        heads=width // settings.get("head_width", 64),
        mlp_width=int(width * settings.get("mlp_ratio", 4.0)),
        patch=patch,
        grid=settings.get("image_size", 224) // patch,
        activation="quick_gelu" if model.get("quick_gelu") else "gelu",
        norm_eps=1e-5,
        patch_bias=False,
        class_token=True,
        pre_norm=True,
        norm="pooled",
        pool="class",
    )
    tensors = checkpoint.tensors("visual.")
    tower = build_tower(
        config, tensors, _VISION_NAMES, where=checkpoint.name, ignore=("proj",), device=device, dtype=dtype
    )
    return tower, linear(pick(tensors, "proj").T, device, dtype)


def _fit(model: Mapping[str, Any], settings: Mapping[str, Any]) -> Crop | Squash:
    picture = settings.get("preprocess_cfg", {})
    size = model["vision_cfg"].get("image_size", 224)
    mean, std = tuple(picture.get("mean", CLIP_MEAN)), tuple(picture.get("std", CLIP_STD))
    resample = picture.get("interpolation", "bicubic")
    match picture.get("resize_mode", "shortest"):
        case "shortest":
            return Crop(size=size, mean=mean, std=std, resample=resample)
        case "squash":
            return Squash(size=size, mean=mean, std=std, resample=resample)
    raise InputError(
        f"open_clip's resize_mode {picture['resize_mode']} is not supported", why="only shortest and squash"
    )


def _text_config(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TextConfig:
    """Sizes as the weights have them. All towers of these names have heads of 64."""
    name = str(settings.get("hf_model_name"))
    roberta = "roberta" in name
    pool = _POOLERS.get(str(settings.get("pooler_type")))
    if not (roberta or "bert-base" in name or "bert-large" in name) or pool is None:
        raise InputError(
            f"open_clip's text tower {name} with {settings.get('pooler_type')} cannot be read",
            why="only roberta, xlm-roberta, bert-base and bert-large with mean_pooler or cls_pooler are supported",
        )
    vocabulary, width = pick(tensors, "embeddings.word_embeddings.weight").shape
    layers = 1 + max(int(key.split(".")[2]) for key in tensors if key.startswith("encoder.layer."))
    return TextConfig(
        vocabulary=vocabulary,
        width=width,
        layers=layers,
        heads=width // 64,
        hidden=len(pick(tensors, "encoder.layer.0.intermediate.dense.weight")),
        positions=len(pick(tensors, "embeddings.position_embeddings.weight")),
        activation="gelu",
        epsilon=1e-5 if roberta else 1e-12,
        norm="post",
        pool=pool,
        token_types=len(pick(tensors, "embeddings.token_type_embeddings.weight")),
        padding=1 if roberta else None,
    )


def _text_head(tensors: Mapping[str, Tensor], device: str | torch.device, dtype: torch.dtype) -> nn.Module:
    """None, one linear map ("linear"), or two with GELU between ("mlp"); none has a bias."""
    match sorted(tensors):
        case []:
            return nn.Identity()
        case ["weight"]:
            return linear(tensors["weight"], device, dtype)
        case ["0.weight", "2.weight"]:
            up, down = (linear(tensors[f"{i}.weight"], device, dtype) for i in (0, 2))
            return nn.Sequential(up, nn.GELU(), down)
    raise CorruptPart(f"open_clip's text projection holds {', '.join(sorted(tensors))}", why="no such head is known")
