"""A model of LLaVA-1.5's shape as a folder that `transformers` loads: the way back of `llava`."""

from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import CLIPVisionConfig, LlavaConfig

from isthmus.connectors.mlp import MlpConnector
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.importers import export_tower
from isthmus.vlm.export import (
    IMAGE,
    Folder,
    language_tensors,
    other_shape,
    processor_file,
    text_config,
    vision_config,
    vit_of,
    with_image_token,
)
from isthmus.vlm.model import VisionLanguageModel

FAMILY = "LLaVA"


def save_llava(model: VisionLanguageModel, folder: Path, *, max_shard_size: str = "5GB") -> None:
    """Write weights, configs, tokenizer and picture preparation to `folder`, in the layout LLaVA-1.5 is published in.

    Raises InputError where the model is not of that shape: a CLIP tower, an MLP of two maps, a language model whose
    embeddings have a row for "<image>", and a Fit that a processor file can tell.
    """
    encoder, connector = vit_of(model, FAMILY), model.connector
    if not isinstance(connector, MlpConnector) or not is_projector(connector):
        raise other_shape(FAMILY, "its connector is no MLP of two maps")
    tokenizer, image = with_image_token(model)
    config = LlavaConfig(
        vision_config=vision_config(encoder, CLIPVisionConfig, FAMILY, "CLIP"),
        text_config=text_config(model),
        image_token_index=image,
        image_seq_length=encoder.tower.config.grid**2 + int(not encoder.drop_class_token),
        multimodal_projector_bias=connector.maps[0].bias is not None,
        tie_word_embeddings=bool(model.language_model.config.tie_word_embeddings),
        **tower_choice(encoder),
    )
    config.architectures = ["LlavaForConditionalGeneration"]
    config.dtype = model.language_model.dtype
    state = {
        **{f"vision_tower.vision_model.{key}": each for key, each in export_tower(encoder.tower, "clip").items()},
        **{f"multi_modal_projector.{key}": each for key, each in projector_tensors(connector).items()},
        **{f"language_model.{key}": each for key, each in language_tensors(model).items()},
    }
    files = {
        "preprocessor_config.json": processor_file(encoder.fit, FAMILY),
        "processor_config.json": joint_processor(encoder, "LlavaProcessor"),
    }
    written = Folder(state, config, model.language_model.generation_config, {"": tokenizer}, files)
    written.write(folder, max_shard_size)


def tower_choice(encoder: VitEncoder) -> dict[str, Any]:
    """Which of the tower's tokens are read, as LLaVA's configs say it."""
    return {
        "vision_feature_layer": -1 if encoder.layer is None else encoder.layer,
        "vision_feature_select_strategy": "default" if encoder.drop_class_token else "full",
    }


def joint_processor(encoder: VitEncoder, name: str) -> dict[str, Any]:
    """processor_config.json: how `transformers` counts a picture's tokens."""
    return {
        "processor_class": name,
        "image_token": IMAGE,
        "patch_size": encoder.tower.config.patch,
        "num_additional_image_tokens": encoder.tower.config.prefix,
        "vision_feature_select_strategy": tower_choice(encoder)["vision_feature_select_strategy"],
    }


def is_projector(connector: MlpConnector) -> bool:
    widths = [each.weight.shape[0] for each in connector.maps]  # type: ignore[index]
    return connector.kind is None and widths == [connector.width_out] * 2


def projector_tensors(connector: MlpConnector) -> dict[str, Tensor]:
    renamed = {"maps.0": "linear_1", "maps.1": "linear_2"}
    return {f"{renamed[key[:6]]}{key[6:]}": each for key, each in connector.state_dict().items()}
