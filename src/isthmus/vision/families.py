"""config.json to VisionConfig, for the families whose vision towers are read: CLIP, SigLIP, SigLIP 2, DINOv2, BLIP-2,
Idefics3 and SmolVLM.

A config.json leaves out whatever equals its family's default, so the defaults stand here. What it never says (is
there a class token, what does the last norm see, how are positions resized) is the family's, and stands here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from isthmus.errors import CorruptPart, InputError
from isthmus.vision.positions import Interpolation
from isthmus.vision.vit import Activation, VisionConfig


@dataclass(frozen=True)
class Family:
    """What config.json does not say. `defaults` are the config's own, for the keys it leaves out; `channels_last`:
    the patch matrix is stored for patches laid out (P, P, C)."""

    layout: Literal["clip", "siglip", "dinov2", "blip2"]
    defaults: Mapping[str, Any]
    interpolation: Interpolation = "bicubic"
    channels_last: bool = False


def read_vision_config(config: Mapping[str, Any], name: str = "the model") -> tuple[Family, VisionConfig]:
    """The family and architecture in a config.json: of a vision tower alone, or of a model with a `vision_config`.

    `name` is for the error. Raises CorruptPart for an unknown family, or values that make no tower.
    """
    whole = "vision_config" in config or "text_config" in config
    given: Mapping[str, Any] = (config.get("vision_config") or {}) if whole else config
    model_type = str(given.get("model_type") or config.get("model_type")).removesuffix("_vision_model")
    family = FAMILIES.get(model_type)
    if family is None:
        why = f"its model_type is {model_type}, and known are {', '.join(sorted(FAMILIES))}"
        raise CorruptPart(f"{name} holds no vision tower that can be read", why=why)
    values = {**family.defaults, **given}
    # Old CLIP conversions carry a second dict, and it is the one that counts, its omissions included.
    if whole and (older := config.get("vision_config_dict")) is not None:
        values |= {**family.defaults, **older}
    try:
        return family, _READERS[family.layout](values, family)
    except (InputError, ArithmeticError, KeyError, TypeError, ValueError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CorruptPart(f"{name} has a vision config that makes no tower", why=why) from None


_VIT_B = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "num_channels": 3}
_CLIP = {
    **_VIT_B, "intermediate_size": 3072, "image_size": 224, "patch_size": 32,
    "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
}  # fmt: skip
_SIGLIP = {
    **_VIT_B, "intermediate_size": 3072, "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "vision_use_head": True,
}  # fmt: skip
_DINOV2 = {
    **_VIT_B, "mlp_ratio": 4, "image_size": 224, "hidden_act": "gelu", "layer_norm_eps": 1e-6,
    "qkv_bias": True, "use_swiglu_ffn": False,
}  # fmt: skip
_BLIP2 = {
    "hidden_size": 1408, "num_hidden_layers": 39, "num_attention_heads": 16, "intermediate_size": 6144,
    "image_size": 224, "patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": True,
}  # fmt: skip
_IDEFICS3 = {
    "hidden_size": 1152, "num_hidden_layers": 12, "num_attention_heads": 16, "intermediate_size": 3072,
    "num_channels": 3, "image_size": 224, "patch_size": 32, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    "vision_use_head": False,
}  # fmt: skip
FAMILIES: Mapping[str, Family] = {
    "clip": Family("clip", _CLIP),
    "chinese_clip": Family("clip", _CLIP),
    "siglip": Family("siglip", _SIGLIP | {"image_size": 224}),
    "siglip2": Family("siglip", _SIGLIP | {"num_patches": 256}, "bilinear_antialias", channels_last=True),
    "dinov2": Family("dinov2", _DINOV2 | {"patch_size": 14, "num_register_tokens": 0}),
    "dinov2_with_registers": Family(
        "dinov2", _DINOV2 | {"patch_size": 16, "num_register_tokens": 4}, "bicubic_antialias"
    ),
    "blip_2": Family("blip2", _BLIP2),
    "blip-2": Family("blip2", _BLIP2),  # a whole model's, where the tower's part does not name itself
    "instructblip": Family("blip2", _BLIP2),
    "idefics3": Family("siglip", _IDEFICS3),
    "idefics3_vision": Family("siglip", _IDEFICS3),
    "smolvlm": Family("siglip", _IDEFICS3),
    "smolvlm_vision": Family("siglip", _IDEFICS3),
}
"""By model_type, with or without `_vision_model`. The fixed-size SigLIP 2 calls itself siglip; siglip2 is NaFlex."""


def _clip(values: Mapping[str, Any], family: Family) -> VisionConfig:
    patch = _side(values["patch_size"])
    return VisionConfig(
        width=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        mlp_width=values["intermediate_size"],
        patch=patch,
        grid=_side(values["image_size"]) // patch,
        channels=values["num_channels"],
        activation=_activation(values["hidden_act"]),
        norm_eps=values["layer_norm_eps"],
        patch_bias=False,
        class_token=True,
        pre_norm=True,
        interpolation=family.interpolation,
        norm="pooled",
        pool="class",
    )


def _siglip(values: Mapping[str, Any], family: Family) -> VisionConfig:
    patch = _side(values["patch_size"])
    naflex = "num_patches" in family.defaults  # it counts patches, the fixed one pixels
    return VisionConfig(
        width=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        mlp_width=values["intermediate_size"],
        patch=patch,
        grid=int(values["num_patches"] ** 0.5) if naflex else _side(values["image_size"]) // patch,
        channels=values["num_channels"],
        activation=_activation(values["hidden_act"]),
        norm_eps=values["layer_norm_eps"],
        interpolation=family.interpolation,
        norm="tokens",
        # A vision-language model stores the tower without its head: the mean is then the only summary there is.
        pool="attention" if values["vision_use_head"] else "mean",
    )


def _dinov2(values: Mapping[str, Any], family: Family) -> VisionConfig:
    patch, mlp_width = _side(values["patch_size"]), int(values["hidden_size"] * values["mlp_ratio"])
    if values["use_swiglu_ffn"]:  # two thirds of the width, for two matrices cost as much as three; in whole eights
        mlp_width = (int(mlp_width * 2 / 3) + 7) // 8 * 8
    return VisionConfig(
        width=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        mlp_width=mlp_width,
        patch=patch,
        grid=_side(values["image_size"]) // patch,
        channels=values["num_channels"],
        activation="swiglu" if values["use_swiglu_ffn"] else _activation(values["hidden_act"]),
        norm_eps=values["layer_norm_eps"],
        qkv_bias=values["qkv_bias"],
        class_token=True,
        registers=values["num_register_tokens"],
        layer_scale=True,
        interpolation=family.interpolation,
        norm="tokens",
        pool="class",
    )


def _blip2(values: Mapping[str, Any], family: Family) -> VisionConfig:
    patch = _side(values["patch_size"])
    return VisionConfig(
        width=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        mlp_width=values["intermediate_size"],
        patch=patch,
        grid=_side(values["image_size"]) // patch,
        activation=_activation(values["hidden_act"]),
        norm_eps=values["layer_norm_eps"],
        qkv_bias=values["qkv_bias"],
        class_token=True,
        interpolation=family.interpolation,
        norm="tokens",
        pool="class",
    )


_READERS = {"clip": _clip, "siglip": _siglip, "dinov2": _dinov2, "blip2": _blip2}
_ACTIVATIONS: Mapping[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}


def _activation(hidden_act: str) -> Activation:
    if hidden_act not in _ACTIVATIONS:
        raise InputError(f"hidden_act is {hidden_act}, and known are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[hidden_act]


def _side(size: int | list[int]) -> int:
    """A side in pixels, which older configs give as a pair."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise InputError(f"a size of {size} is not square")
    return sides.pop()
