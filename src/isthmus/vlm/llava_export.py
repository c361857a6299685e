"""A model of LLaVA-1.5's shape as a folder that `transformers` loads: the way back of `llava`."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import save_torch_state_dict
from torch import Tensor
from transformers import CLIPVisionConfig, LlavaConfig

from isthmus.connectors.mlp import MlpConnector
from isthmus.errors import InputError
from isthmus.images.fits import Crop, Letterbox
from isthmus.images.pixels import FILTERS
from isthmus.images.processors import fit_from_config
from isthmus.images.views import Fit
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.families import read_vision_config
from isthmus.vision.vit import VisionTransformer
from isthmus.vlm.model import VisionLanguageModel

IMAGE = "<image>"
"""The token by which LLaVA's text marks a picture's place."""


def save_llava(model: VisionLanguageModel, folder: Path, *, max_shard_size: str = "5GB") -> None:
    """Write weights, configs, tokenizer and picture preparation to `folder`, in the layout LLaVA-1.5 is published in.

    Raises InputError where the model is not of that shape: a CLIP tower, an MLP of two maps, a language model whose
    tokenizer has "<image>" within its table of embeddings, and a Fit that a processor file can tell.
    """
    encoder, connector = model.encoder, model.connector
    if not isinstance(encoder, VitEncoder):
        raise _other_shape(f"its encoder is {type(encoder).__name__}")
    if not isinstance(connector, MlpConnector) or not _is_projector(connector):
        raise _other_shape("its connector is no MLP of two maps")
    config = _config(model, encoder, connector)
    processor = _processor(encoder.fit)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        **{f"vision_tower.vision_model.{key}": each for key, each in clip_state(encoder.tower).items()},
        **{f"multi_modal_projector.{key}": each for key, each in _projector_state(connector).items()},
        **{f"language_model.{key}": each for key, each in _language_state(model.language_model).items()},
    }
    save_torch_state_dict(
        {key: each.contiguous() for key, each in state.items()}, folder, max_shard_size=max_shard_size
    )
    config.save_pretrained(folder)
    model.language_model.generation_config.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    _write(folder / "preprocessor_config.json", processor)
    _write(folder / "processor_config.json", _joint_processor(encoder))


def clip_state(tower: VisionTransformer) -> dict[str, Tensor]:
    """A tower's tensors under CLIP's names."""
    config = tower.config
    out: dict[str, Tensor] = {}
    for name, tensor in tower.state_dict().items():
        module, _, leaf = name.rpartition(".")
        match name.split("."):
            case ["patch_embed", "weight"]:
                kernel = tensor.view(config.width, config.channels, config.patch, config.patch)
                out["embeddings.patch_embedding.weight"] = kernel
            case ["class_token"]:
                out["embeddings.class_embedding"] = tensor
            case ["positions"]:
                out["embeddings.position_embedding.weight"] = tensor
            case ["blocks", number, "attention", "qkv", _]:
                for part, each in zip("qkv", tensor.chunk(3), strict=True):
                    out[f"encoder.layers.{number}.self_attn.{part}_proj.{leaf}"] = each.clone()
            case ["blocks", number, *inner, _]:
                out[f"encoder.layers.{number}.{_BLOCK['.'.join(inner)]}.{leaf}"] = tensor
            case _:
                out[f"{_NORMS[module]}.{leaf}"] = tensor
    return out


_BLOCK = {
    "norm1": "layer_norm1",
    "attention.out": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.up": "mlp.fc1",
    "mlp.down": "mlp.fc2",
}
_NORMS = {"pre_norm": "pre_layrnorm", "norm": "post_layernorm"}


def _config(model: VisionLanguageModel, encoder: VitEncoder, connector: MlpConnector) -> Any:
    image = model.prompts.control(IMAGE)
    rows = model.language_model.get_input_embeddings().weight.shape[0]
    if image is None or image >= rows:
        raise InputError(
            f"the tokenizer of {model.name} has no {IMAGE} within the {rows} rows of the embeddings",
            why="LLaVA's folders mark pictures by it",
            todo="add the token and resize the language model's embeddings",
        )
    # A copy: LlavaConfig would take a config as its own and reset how the living model attends.
    text = model.language_model.config.to_dict()
    text.pop("_name_or_path", None)
    config = LlavaConfig(
        vision_config=_vision_config(encoder),
        text_config=text,
        image_token_index=image,
        image_seq_length=encoder.tower.config.grid**2 + int(not encoder.drop_class_token),
        vision_feature_layer=-1 if encoder.layer is None else encoder.layer,
        vision_feature_select_strategy="default" if encoder.drop_class_token else "full",
        multimodal_projector_bias=connector.maps[0].bias is not None,
        tie_word_embeddings=bool(text["tie_word_embeddings"]),
    )
    config.architectures = ["LlavaForConditionalGeneration"]
    config.dtype = model.language_model.dtype
    return config


def _vision_config(encoder: VitEncoder) -> Any:
    ours = encoder.tower.config
    if ours.activation not in ("gelu", "quick_gelu"):
        raise _other_shape(f"its encoder computes {ours.activation}")
    made = CLIPVisionConfig(
        hidden_size=ours.width,
        intermediate_size=ours.mlp_width,
        num_hidden_layers=ours.layers,
        num_attention_heads=ours.heads,
        num_channels=ours.channels,
        image_size=ours.grid * ours.patch,
        patch_size=ours.patch,
        hidden_act=ours.activation,
        layer_norm_eps=ours.norm_eps,
    )
    # Read back: whatever CLIP's config cannot say would be lost without a word.
    if read_vision_config(made.to_dict())[1] != ours:
        raise _other_shape("its encoder is no CLIP tower")
    return made


def _processor(fit: Fit) -> dict[str, Any]:
    if not isinstance(fit, Crop | Letterbox):
        raise _other_shape(f"its Fit is {type(fit).__name__}")
    numbers = {name: int(number) for name, (number, _) in FILTERS.items()}
    shortest = fit.shortest if isinstance(fit, Crop) else None
    config = {
        "image_processor_type": "CLIPImageProcessor" if isinstance(fit, Crop) else "LlavaImageProcessor",
        "do_pad": isinstance(fit, Letterbox),
        "size": {"shortest_edge": shortest or fit.size},
        "crop_size": {"height": fit.size, "width": fit.size},
        "resample": numbers[fit.resample],
        "image_mean": list(fit.mean),
        "image_std": list(fit.std),
    }
    if fit_from_config(config).fingerprint != fit.fingerprint:
        raise _other_shape(f"no processor file stands for {fit}")
    return config


def _joint_processor(encoder: VitEncoder) -> dict[str, Any]:
    return {
        "processor_class": "LlavaProcessor",
        "image_token": IMAGE,
        "patch_size": encoder.tower.config.patch,
        "num_additional_image_tokens": encoder.tower.config.prefix,
        "vision_feature_select_strategy": "default" if encoder.drop_class_token else "full",
    }


def _is_projector(connector: MlpConnector) -> bool:
    widths = [each.weight.shape[0] for each in connector.maps]  # type: ignore[index]
    return connector.kind is None and widths == [connector.width_out] * 2


def _projector_state(connector: MlpConnector) -> dict[str, Tensor]:
    renamed = {"maps.0": "linear_1", "maps.1": "linear_2"}
    return {f"{renamed[key[:6]]}{key[6:]}": each for key, each in connector.state_dict().items()}


def _language_state(language_model: Any) -> dict[str, Tensor]:
    state: dict[str, Tensor] = dict(language_model.state_dict())
    if language_model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    return state


def _other_shape(why: str) -> InputError:
    return InputError("the model cannot be written as a LLaVA folder", why=why, todo="save it as our own")


def _write(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
