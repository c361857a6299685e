"""Vision towers out of checkpoints: CLIP, Chinese-CLIP, SigLIP, SigLIP 2 (fixed and NaFlex), DINOv2, BLIP-2's ViT-g.

Tensors move by a table of names, and strictly: one that is missing, left over or of another shape is named. Another
layout (open_clip's, for one) needs a table of its own and a call of `build_tower`.
"""

import re
from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor

from isthmus.checkpoints import Checkpoint
from isthmus.errors import CorruptPart
from isthmus.vision.families import read_vision_config
from isthmus.vision.vit import VisionConfig, VisionTransformer

Names = Mapping[str, tuple[str, ...]]
"""Our name -> the names in the checkpoint whose tensors, joined along the first axis, make it. `{}` is the number of
a block. A name may stand for a whole module: its `.weight` and `.bias` follow."""


def load_vision_tower(
    checkpoint: Checkpoint,
    *,
    prefix: str | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> VisionTransformer:
    """The vision tower of a checkpoint, alone or inside a larger model, in eval mode.

    `prefix` is what the names of the tower's tensors begin with ("vision_model.", "vision_tower.vision_model.", "");
    None finds it. Weights stored in another dtype are converted to `dtype`. Pooled output comes before any
    projection. Raises CorruptPart where the config or the weights are not those of a known family.
    """
    family, config = read_vision_config(checkpoint.config, checkpoint.name)
    names = {**_NAMES[family.layout], **(_SWIGLU_NAMES if config.activation == "swiglu" else {})}
    patch_weight = f"{names['patch_embed'][0]}.weight"
    if prefix is None:
        prefix = vision_prefix(checkpoint)
    tensors = checkpoint.tensors(prefix)
    if not prefix:  # the tower stands at the root, beside what a task put there
        tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith(_NEIGHBOURS)}
    if family.channels_last and patch_weight in tensors:
        tensors[patch_weight] = _channels_first(tensors[patch_weight], config)
    where = f"{checkpoint.name} ({prefix}*)" if prefix else checkpoint.name
    return build_tower(config, tensors, names, where=where, ignore=_UNUSED, device=device, dtype=dtype)


def vision_prefix(checkpoint: Checkpoint) -> str:
    """What the names of the vision tower's tensors begin with. Raises CorruptPart where there is no single one."""
    family, _ = read_vision_config(checkpoint.config, checkpoint.name)
    return _find_prefix(checkpoint, f"{_NAMES[family.layout]['patch_embed'][0]}.weight")


def build_tower(
    config: VisionConfig,
    tensors: Mapping[str, Tensor],
    names: Names,
    *,
    where: str,
    ignore: Collection[str] = (),
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> VisionTransformer:
    """A tower with these weights, in eval mode. `where` stands in errors; `ignore` are names that may be left over.

    A tensor may have axes of length 1 that ours lacks, and the patch matrix may be a convolution's [D, C, P, P].
    Raises CorruptPart naming the tensor that is missing, left over or misshapen.
    """
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        tower = VisionTransformer(config)
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for name, expected in tower.state_dict().items():
        sources = _sources(name, names)
        missing = [source for source in sources if source not in tensors]
        if missing:
            raise CorruptPart(f"{where} lacks the tensor {missing[0]}", todo="fetch the model again")
        state[name] = _shaped([tensors[source] for source in sources], expected.shape, sources, where).to(device, dtype)
        used.update(sources)
    left = sorted(set(tensors) - used - set(ignore))
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise CorruptPart(
            f"{where} holds the tensor {left[0]}{more}, for which its config has no place",
            todo="check that config.json belongs to these weights",
        )
    tower.load_state_dict(state, assign=True)
    return tower.eval()


def export_tower(tower: VisionTransformer, layout: Literal["clip", "siglip", "blip2"]) -> dict[str, Tensor]:
    """A tower's tensors under the layout's names and in its shapes: the way back of `load_vision_tower`.

    Nothing is copied but what stands joined here and apart there.
    """
    config, names = tower.config, _NAMES[layout]
    out: dict[str, Tensor] = {}
    for name, tensor in tower.state_dict().items():
        sources = _sources(name, names)
        parts = [tensor] if len(sources) == 1 else [part.clone() for part in tensor.chunk(len(sources))]
        out.update(zip(sources, parts, strict=True))
    kernel = f"{names['patch_embed'][0]}.weight"
    out[kernel] = out[kernel].view(config.width, config.channels, config.patch, config.patch)
    if layout == "blip2":
        for name in (names["class_token"][0], names["positions"][0]):
            out[name] = out[name].view(1, -1, config.width)
    return out


_CLIP_NAMES: Names = {
    "patch_embed": ("embeddings.patch_embedding",),
    "class_token": ("embeddings.class_embedding",),
    "positions": ("embeddings.position_embedding.weight",),
    "pre_norm": ("pre_layrnorm",),
    "blocks.{}.norm1": ("encoder.layers.{}.layer_norm1",),
    "blocks.{}.attention.qkv": tuple(f"encoder.layers.{{}}.self_attn.{part}_proj" for part in "qkv"),
    "blocks.{}.attention.out": ("encoder.layers.{}.self_attn.out_proj",),
    "blocks.{}.norm2": ("encoder.layers.{}.layer_norm2",),
    "blocks.{}.mlp.up": ("encoder.layers.{}.mlp.fc1",),
    "blocks.{}.mlp.down": ("encoder.layers.{}.mlp.fc2",),
    "norm": ("post_layernorm",),
}
_SIGLIP_NAMES: Names = {
    **_CLIP_NAMES,
    "head.probe": ("head.probe",),
    "head.qkv.weight": ("head.attention.in_proj_weight",),
    "head.qkv.bias": ("head.attention.in_proj_bias",),
    "head.out": ("head.attention.out_proj",),
    "head.norm": ("head.layernorm",),
    "head.mlp.up": ("head.mlp.fc1",),
    "head.mlp.down": ("head.mlp.fc2",),
}
_DINOV2_NAMES: Names = {
    "patch_embed": ("embeddings.patch_embeddings.projection",),
    "class_token": ("embeddings.cls_token",),
    "registers": ("embeddings.register_tokens",),
    "positions": ("embeddings.position_embeddings",),
    "blocks.{}.norm1": ("encoder.layer.{}.norm1",),
    "blocks.{}.attention.qkv": tuple(
        f"encoder.layer.{{}}.attention.attention.{part}" for part in ("query", "key", "value")
    ),
    "blocks.{}.attention.out": ("encoder.layer.{}.attention.output.dense",),
    "blocks.{}.scale1": ("encoder.layer.{}.layer_scale1.lambda1",),
    "blocks.{}.norm2": ("encoder.layer.{}.norm2",),
    "blocks.{}.mlp.up": ("encoder.layer.{}.mlp.fc1",),
    "blocks.{}.mlp.down": ("encoder.layer.{}.mlp.fc2",),
    "blocks.{}.scale2": ("encoder.layer.{}.layer_scale2.lambda1",),
    "norm": ("layernorm",),
}
_SWIGLU_NAMES: Names = {
    "blocks.{}.mlp.up": ("encoder.layer.{}.mlp.weights_in",),
    "blocks.{}.mlp.down": ("encoder.layer.{}.mlp.weights_out",),
}
_BLIP2_NAMES: Names = {
    **{ours: theirs for ours, theirs in _CLIP_NAMES.items() if ours != "pre_norm"},
    "positions": ("embeddings.position_embedding",),
    "blocks.{}.attention.qkv": ("encoder.layers.{}.self_attn.qkv",),
    "blocks.{}.attention.out": ("encoder.layers.{}.self_attn.projection",),
}
_NAMES: Mapping[str, Names] = {
    "clip": _CLIP_NAMES,
    "siglip": _SIGLIP_NAMES,
    "dinov2": _DINOV2_NAMES,
    "blip2": _BLIP2_NAMES,
}
_UNUSED = ("embeddings.position_ids", "embeddings.mask_token")
"""A buffer of counting numbers that older saves carry; the token DINOv2 puts in place of hidden patches in
training."""
_NEIGHBOURS = ("visual_projection.", "classifier.")
"""What may stand beside a tower at the root: CLIP's projection, a classifier."""


def _find_prefix(checkpoint: Checkpoint, patch_weight: str) -> str:
    """What stands before the one tensor that every tower of the layout has."""
    keys = checkpoint.keys()
    found = sorted(key.removesuffix(patch_weight) for key in keys if _ends(key, patch_weight))
    if len(found) != 1:
        why = f"{', '.join(found)} could be it" if found else f"no tensor is named {patch_weight}"
        todo = "name the tower's prefix" if found else "check that config.json belongs to these weights"
        raise CorruptPart(f"{checkpoint.name} has no single vision tower", why=why, todo=todo)
    return found[0]


def _ends(key: str, name: str) -> bool:
    return key == name or key.endswith("." + name)


def _sources(name: str, names: Names) -> tuple[str, ...]:
    """The checkpoint's names for one of our parameters: its own entry, or its module's with .weight or .bias."""
    general = re.sub(r"(?<=blocks\.)\d+", "{}", name)
    number = re.search(r"(?<=blocks\.)\d+", name)
    if general in names:
        found = names[general]
    else:
        module, _, leaf = general.rpartition(".")
        found = tuple(f"{source}.{leaf}" for source in names[module])
    return tuple(source.format(number[0]) for source in found) if number else found


def _shaped(parts: list[Tensor], shape: torch.Size, sources: tuple[str, ...], where: str) -> Tensor:
    """The parts joined along the first axis, as `shape`."""
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    is_kernel = whole.ndim == 4 and len(shape) == 2
    found = (len(whole), whole[0].numel()) if is_kernel else tuple(whole.shape)
    if [side for side in found if side != 1] != [side for side in shape if side != 1]:
        raise CorruptPart(
            f"{where} holds {' + '.join(sources)} of shape {tuple(whole.shape)}",
            why=f"its config asks for {tuple(shape)}",
            todo="check that config.json belongs to these weights",
        )
    return whole.reshape(shape)


def _channels_first(weight: Tensor, config: VisionConfig) -> Tensor:
    """[D, P P C] -> [D, C P P]."""
    if weight.numel() != config.width * config.channels * config.patch**2:
        return weight  # the check of shapes names it
    square = weight.reshape(config.width, config.patch, config.patch, config.channels)
    return square.permute(0, 3, 1, 2).flatten(1)
