"""Idefics3 and SmolVLM out of Hugging Face folders, and SmolVLM back: SigLIP over tiles, pixel shuffle, Llama.

The two are one architecture. Sources: Idefics3 (Laurençon et al., 2024); SmolVLM (Marafioti et al., 2025).
"""

from pathlib import Path
from typing import Any

import torch
from transformers import Idefics3Config, SmolVLMConfig
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.connectors.mlp import MlpConnector
from isthmus.errors import InputError
from isthmus.images.split import Split
from isthmus.vision.encoder import VitEncoder, read_fit
from isthmus.vision.importers import export_tower, load_vision_tower
from isthmus.vlm.composed_checkpoint import (
    build_language_model,
    decoder_tensors,
    part_tensors,
    read_config,
    read_tokenizer,
    require_equal,
)
from isthmus.vlm.export import (
    Folder,
    language_tensors,
    other_shape,
    processor_file,
    text_config,
    vision_config,
    vit_of,
    with_image_token,
)
from isthmus.vlm.idefics3_prompt import AnnouncedTiles, Idefics3
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import Quantize
from isthmus.vlm.template import Template

FAMILY = "SmolVLM"
PROJECTOR = ("model.connector.modality_projection.", "connector.modality_projection.")


def load_idefics3(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    template: Template | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The Idefics3 or SmolVLM model `name`, a Hugging Face id or a folder, in eval mode, everything frozen but the
    connector.

    dtype None: as the weights are stored. `template` None: "User: ... Assistant:" behind the tokenizer's bos token.
    Raises MissingPart and CorruptPart as `resolve`, InputError for another kind of model.
    """
    checkpoint = resolve(name)
    kind = Idefics3Config if checkpoint.config.get("model_type") == Idefics3Config.model_type else SmolVLMConfig
    config = read_config(checkpoint, kind, "Idefics3 or SmolVLM")
    # Whether the head is shared is said above both parts.
    config.text_config.tie_word_embeddings = config.tie_word_embeddings
    state = decoder_tensors(checkpoint)
    dtype = dtype or next(iter(state.values())).dtype
    tower = load_vision_tower(checkpoint, device=device, dtype=dtype)
    fit = read_fit(checkpoint)
    if not isinstance(fit, Split) or fit.size != tower.config.grid * tower.config.patch:
        raise InputError(
            f"{name} does not read tiles as Idefics3 does",
            why=f"its Fit is {type(fit).__name__}, or tower and tiles differ in size",
        )
    tokenizer = read_tokenizer(checkpoint)
    return VisionLanguageModel(
        VitEncoder(name, tower, fit, weights=checkpoint.fingerprint),
        _connector(checkpoint, config, tower.config.grid, device, dtype),
        build_language_model(checkpoint, config.text_config, state, device, dtype, quantize),
        tokenizer,
        template or Idefics3(tokenizer.bos_token),
        name=name,
        layout=AnnouncedTiles(frozenset(tokenizer.get_added_vocab())),
    ).eval()


def save_smolvlm(model: VisionLanguageModel, folder: Path, *, max_shard_size: str = "5GB") -> None:
    """Write weights, configs, tokenizer and picture preparation to `folder`, in SmolVLM's layout.

    Raises InputError where the model is not of that shape: a SigLIP tower without its head over Split tiles, pixel
    shuffle and one map without a bias, announced tiles, a language model whose embeddings have a row for "<image>".
    """
    encoder, connector = vit_of(model, FAMILY), model.connector
    if not isinstance(connector, MlpConnector) or not _is_projector(connector):
        raise other_shape(FAMILY, "its connector is no pixel shuffle with one map")
    if not isinstance(encoder.fit, Split) or not isinstance(model.layout, AnnouncedTiles):
        raise other_shape(FAMILY, "its tiles are not announced")
    if encoder.layer is not None:
        raise other_shape(FAMILY, "not its tower's last tokens are read")
    tokenizer, image = with_image_token(model)
    side = encoder.tower.config.grid // connector.reduction.factor
    config = SmolVLMConfig(
        vision_config=vision_config(encoder, SmolVLMVisionConfig, FAMILY, "SigLIP").to_dict(),
        text_config=text_config(model),
        scale_factor=connector.reduction.factor,
        image_token_id=image,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=bool(model.language_model.config.tie_word_embeddings),
    )
    config.architectures, config.dtype = ["SmolVLMForConditionalGeneration"], model.language_model.dtype
    language = language_tensors(model)
    state = {
        **{f"model.vision_model.{key}": each for key, each in export_tower(encoder.tower, "siglip").items()},
        f"{PROJECTOR[0]}proj.weight": connector.state_dict()["maps.0.weight"],
        **{
            f"model.text_model.{key.removeprefix('model.')}": each
            for key, each in language.items()
            if "lm_head" not in key
        },
        **{key: each for key, each in language.items() if "lm_head" in key},
    }
    files = {
        "preprocessor_config.json": processor_file(encoder.fit, FAMILY),
        "processor_config.json": {"processor_class": "SmolVLMProcessor", "image_seq_len": side**2},
    }
    written = Folder(state, config, model.language_model.generation_config, {"": tokenizer}, files)
    written.write(folder, max_shard_size)


def _connector(
    checkpoint: Checkpoint, config: Any, grid: int, device: str | torch.device, dtype: torch.dtype
) -> MlpConnector:
    with torch.device("meta"):
        connector = MlpConnector(
            config.vision_config.hidden_size,
            config.text_config.hidden_size,
            layers=1,
            bias=False,
            reduction="shuffle",
            factor=config.scale_factor,
            grid=(grid, grid),
        )
    found = part_tensors(checkpoint, PROJECTOR, "proj.weight")
    state = {f"maps.0.{key.removeprefix('proj.')}": tensor.to(device, dtype) for key, tensor in found.items()}
    expected = {key: each.shape for key, each in connector.state_dict().items()}
    require_equal(checkpoint, "a projector", expected, state)
    connector.load_state_dict(state, assign=True)
    return connector


def _is_projector(connector: MlpConnector) -> bool:
    return connector.kind == "shuffle" and len(connector.maps) == 1 and connector.maps[0].bias is None
