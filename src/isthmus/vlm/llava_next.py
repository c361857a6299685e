"""LLaVA-NeXT (1.6) out of Hugging Face folders and back: CLIP tower over tiles, MLP, line ends, Llama or Mistral.

Source: LLaVA-NeXT (Liu et al., 2024). Which tokens of which tile stand where is TilesConnector's.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import CLIPVisionConfig, LlavaNextConfig

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.connectors.tiles import TilesConnector
from isthmus.errors import CorruptPart, InputError
from isthmus.images.tiles import Tiles
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.importers import export_tower
from isthmus.vlm.composed_checkpoint import (
    build_language_model,
    decoder_tensors,
    part_tensors,
    read_config,
    read_tokenizer,
)
from isthmus.vlm.export import (
    Folder,
    language_tensors,
    other_shape,
    pinpoints,
    processor_file,
    text_config,
    vision_config,
    vit_of,
    with_image_token,
)
from isthmus.vlm.llava import load_projector, load_tower, require_plain
from isthmus.vlm.llava_export import is_projector, joint_processor, projector_tensors, tower_choice
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import Quantize
from isthmus.vlm.template import Mistral, Template, Vicuna

FAMILY = "LLaVA-NeXT"
LINE_END = "image_newline"


def load_llava_next(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    template: Template | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The LLaVA-NeXT model `name`, a Hugging Face id or a folder, in eval mode, everything frozen but the connector.

    dtype None: as the weights are stored. `template` None: Vicuna's for Llama, "[INST]" for Mistral.
    Raises MissingPart and CorruptPart as `resolve`, InputError for another kind of model, or another language model
    without a template.
    """
    checkpoint = resolve(name)
    config = read_config(checkpoint, LlavaNextConfig, FAMILY)
    require_plain(checkpoint, config)
    template = template or _template(checkpoint, config.text_config.model_type)
    state = decoder_tensors(checkpoint)
    dtype = dtype or next(iter(state.values())).dtype
    encoder = load_tower(checkpoint, config, device, dtype)
    _require_same_tiles(checkpoint, config, encoder)
    return VisionLanguageModel(
        encoder,
        _connector(checkpoint, config, encoder, device, dtype),
        build_language_model(checkpoint, config.text_config, state, device, dtype, quantize),
        read_tokenizer(checkpoint),
        template,
        name=name,
    ).eval()


def save_llava_next(model: VisionLanguageModel, folder: Path, *, max_shard_size: str = "5GB") -> None:
    """Write weights, configs, tokenizer and picture preparation to `folder`, in LLaVA-NeXT's layout.

    Raises InputError where the model is not of that shape: a CLIP tower over Tiles, read without its class token, a
    TilesConnector, a language model whose embeddings have a row for "<image>".
    """
    encoder, connector = vit_of(model, FAMILY), model.connector
    if not isinstance(connector, TilesConnector) or not is_projector(connector.project):
        raise other_shape(FAMILY, "its connector does not put tiles together")
    if not isinstance(encoder.fit, Tiles):
        raise other_shape(FAMILY, f"its Fit is {type(encoder.fit).__name__}")
    tokenizer, image = with_image_token(model)
    config = LlavaNextConfig(
        vision_config=vision_config(encoder, CLIPVisionConfig, FAMILY, "CLIP"),
        text_config=text_config(model),
        image_token_index=image,
        image_seq_length=encoder.tower.config.grid**2,
        image_grid_pinpoints=pinpoints(encoder.fit),
        multimodal_projector_bias=connector.project.maps[0].bias is not None,
        tie_word_embeddings=bool(model.language_model.config.tie_word_embeddings),
        **tower_choice(encoder),
    )
    config.architectures, config.dtype = ["LlavaNextForConditionalGeneration"], model.language_model.dtype
    state = {
        LINE_END: connector.line_end.detach(),
        **{f"vision_tower.vision_model.{key}": each for key, each in export_tower(encoder.tower, "clip").items()},
        **{f"multi_modal_projector.{key}": each for key, each in projector_tensors(connector.project).items()},
        **{f"language_model.{key}": each for key, each in language_tensors(model).items()},
    }
    files = {
        "preprocessor_config.json": processor_file(encoder.fit, FAMILY),
        "processor_config.json": joint_processor(encoder, "LlavaNextProcessor"),
    }
    written = Folder(state, config, model.language_model.generation_config, {"": tokenizer}, files)
    written.write(folder, max_shard_size)


def _template(checkpoint: Checkpoint, language_model: str) -> Template:
    match language_model:
        case "llama":
            return Vicuna()
        case "mistral":
            return Mistral()
    raise InputError(
        f"{checkpoint.name} has the language model {language_model}",
        why="how it is spoken to is not known",
        todo="give the template it was trained with, such as ChatML()",
    )


def _require_same_tiles(checkpoint: Checkpoint, config: Any, encoder: VitEncoder) -> None:
    """Model and processor each say which tiles there are: two answers would place tokens wrongly."""
    fit, tower = encoder.fit, encoder.tower.config
    if not isinstance(fit, Tiles) or fit.size != tower.grid * tower.patch or not encoder.drop_class_token:
        raise InputError(
            f"{checkpoint.name} does not read tiles as {FAMILY} does",
            why=f"its Fit is {type(fit).__name__}, or its class token is kept, or tower and tiles differ in size",
        )
    if [list(each) for each in config.image_grid_pinpoints] != pinpoints(fit):
        raise CorruptPart(
            f"{checkpoint.name} contradicts itself",
            why="image_grid_pinpoints of config.json and preprocessor_config.json differ",
            todo="fetch the model again",
        )


def _connector(
    checkpoint: Checkpoint, config: Any, encoder: VitEncoder, device: str | torch.device, dtype: torch.dtype
) -> TilesConnector:
    projector = load_projector(checkpoint, config, device, dtype)
    with torch.device("meta"):
        made = TilesConnector(
            projector.width_in,
            projector.width_out,
            side=encoder.tower.config.grid,
            bias=config.multimodal_projector_bias,
        )
    made.project = projector
    line_end = part_tensors(checkpoint, ("", "model."), LINE_END)[LINE_END].to(device, dtype)
    if line_end.shape != made.line_end.shape:
        raise CorruptPart(f"{checkpoint.name} has {LINE_END} of shape {tuple(line_end.shape)}", todo="fetch it again")
    made.line_end = nn.Parameter(line_end)
    return made
