"""What all folders that we write in Hugging Face layout share: shards, configs, the picture's token, the Fit's file."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import save_torch_state_dict
from torch import Tensor

from isthmus.errors import InputError
from isthmus.images.fits import Crop, Letterbox, Squash
from isthmus.images.pixels import FILTERS
from isthmus.images.processors import fit_from_config
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles
from isthmus.images.views import Fit
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.families import read_vision_config
from isthmus.vlm.model import VisionLanguageModel

IMAGE = "<image>"
"""The token by which these folders mark a picture's place."""


@dataclass(frozen=True)
class Folder:
    """What is written: tensors by their names there, config, tokenizers by their folder within (""), JSON files."""

    state: Mapping[str, Tensor]
    config: Any
    generation_config: Any
    tokenizers: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def write(self, folder: Path, max_shard_size: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {key: each.contiguous() for key, each in self.state.items()}
        save_torch_state_dict(state, folder, max_shard_size=max_shard_size)
        self.config.save_pretrained(folder)
        self.generation_config.save_pretrained(folder)
        for inner, tokenizer in self.tokenizers.items():
            tokenizer.save_pretrained(folder / inner)
        for name, value in self.files.items():
            (folder / name).write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def other_shape(family: str, why: str) -> InputError:
    return InputError(f"the model cannot be written as a {family} folder", why=why, todo="save it as our own")


def vit_of(model: VisionLanguageModel, family: str) -> VitEncoder:
    """The model's encoder. Raises InputError where it is no vision transformer."""
    if not isinstance(model.encoder, VitEncoder):
        raise other_shape(family, f"its encoder is {type(model.encoder).__name__}")
    return model.encoder


def vision_config(encoder: VitEncoder, made: Any, family: str, kind: str) -> Any:
    """The tower's architecture as `made`, `kind`'s vision config. Raises InputError where that cannot say it."""
    ours = encoder.tower.config
    activations = {"gelu": "gelu", "quick_gelu": "quick_gelu", "gelu_tanh": "gelu_pytorch_tanh"}
    if ours.activation not in activations:
        raise other_shape(family, f"its encoder computes {ours.activation}")
    config = made(
        hidden_size=ours.width,
        intermediate_size=ours.mlp_width,
        num_hidden_layers=ours.layers,
        num_attention_heads=ours.heads,
        image_size=ours.grid * ours.patch,
        patch_size=ours.patch,
        hidden_act=activations[ours.activation],
        layer_norm_eps=ours.norm_eps,
    )
    # Read back: whatever the class cannot say would be lost without a word.
    if read_vision_config(config.to_dict())[1] != ours:
        raise other_shape(family, f"its encoder is no {kind} tower")
    return config


def text_config(model: VisionLanguageModel) -> dict[str, Any]:
    """A copy: a composed config would take the language model's as its own and reset how the living one attends."""
    text: dict[str, Any] = model.language_model.config.to_dict()
    text.pop("_name_or_path", None)
    return text


def language_tensors(model: VisionLanguageModel) -> dict[str, Tensor]:
    """The language model's tensors, a tied one once."""
    tied = model.language_model.all_tied_weights_keys
    return {key: each for key, each in model.language_model.state_dict().items() if key not in tied}


def with_image_token(model: VisionLanguageModel) -> tuple[Any, int]:
    """The tokenizer, which has "<image>", and that token's id. Where the model's own has none (folders from before
    transformers marked pictures so), it is added to a copy, in a row of the embeddings that is still free.

    Raises InputError where there is no such row.
    """
    tokenizer, image = model.tokenizer, model.prompts.control(IMAGE)
    if image is None:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.add_tokens([IMAGE], special_tokens=True)
        image = int(tokenizer.convert_tokens_to_ids(IMAGE))
    rows = model.language_model.get_input_embeddings().weight.shape[0]
    if image >= rows:
        raise InputError(
            f"the tokenizer of {model.name} has no {IMAGE} within the {rows} rows of the embeddings",
            why="such folders mark pictures by it",
            todo="resize the language model's embeddings",
        )
    return tokenizer, image


def processor_file(fit: Fit, family: str) -> dict[str, Any]:
    """preprocessor_config.json of this Fit. Raises InputError where none stands for it."""
    if not isinstance(fit, Crop | Letterbox | Squash | Split | Tiles):
        raise other_shape(family, f"its Fit is {type(fit).__name__}")
    numbers = {name: int(number) for name, (number, _) in FILTERS.items()}
    side = {"height": fit.size, "width": fit.size}
    config: dict[str, Any] = {
        "resample": numbers[fit.resample],
        "image_mean": list(fit.mean),
        "image_std": list(fit.std),
    }
    match fit:
        case Crop():
            config |= {"image_processor_type": "CLIPImageProcessor", "do_pad": False, "crop_size": side}
            config["size"] = {"shortest_edge": fit.shortest or fit.size}
        case Letterbox():
            config |= {"image_processor_type": "LlavaImageProcessor", "do_pad": True, "crop_size": side}
            config["size"] = {"shortest_edge": fit.size}
        case Squash():
            config |= {"image_processor_type": "BlipImageProcessor", "size": side}
        case Split():
            config |= {"image_processor_type": "SmolVLMImageProcessor", "do_image_splitting": fit.tiles}
            config |= {"size": {"longest_edge": fit.longest}, "max_image_size": {"longest_edge": fit.size}}
        case Tiles():
            config |= {"image_processor_type": "LlavaNextImageProcessor", "do_pad": True, "crop_size": side}
            config["size"] = {"shortest_edge": fit.size}
            config["image_grid_pinpoints"] = pinpoints(fit)
    if fit_from_config(config).fingerprint != fit.fingerprint:
        raise other_shape(family, f"no processor file stands for {fit}")
    return config


def pinpoints(fit: Tiles) -> list[list[int]]:
    """The grids as (height, width) in pixels."""
    return [[rows * fit.size, columns * fit.size] for rows, columns in fit.grids]
