"""LLaVA-1.5 out of Hugging Face folders: CLIP tower, two-layer MLP, Llama.

Source: LLaVA-1.5 (Liu et al., 2023). The language model is an ordinary causal one of `transformers`; the tower's tokens
are those of layer -2 without the class token, as the config says.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import LlavaConfig

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.connectors.mlp import MlpConnector
from isthmus.errors import InputError
from isthmus.vision.encoder import VitEncoder, read_fit
from isthmus.vision.importers import load_vision_tower
from isthmus.vlm.composed_checkpoint import (
    build_language_model,
    decoder_tensors,
    part_tensors,
    read_config,
    read_tokenizer,
    require_equal,
)
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import Quantize
from isthmus.vlm.template import Template, Vicuna

PROJECTOR = ("multi_modal_projector.", "model.multi_modal_projector.")


def load_llava(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    template: Template | None = None,
    quantize: Quantize | None = None,
) -> VisionLanguageModel:
    """The LLaVA-1.5 model `name`, a Hugging Face id or a folder, in eval mode, everything frozen but the
    connector.

    dtype None: as the weights are stored. `template` None: Vicuna's. Each tensor is read once and, where dtype and
    device are those asked for, becomes the parameter itself.
    Raises MissingPart and CorruptPart as `resolve`, InputError for another kind of model.
    """
    checkpoint = resolve(name)
    config = read_config(checkpoint, LlavaConfig, "LLaVA-1.5")
    require_plain(checkpoint, config)
    state = decoder_tensors(checkpoint)
    dtype = dtype or next(iter(state.values())).dtype
    return VisionLanguageModel(
        load_tower(checkpoint, config, device, dtype),
        load_projector(checkpoint, config, device, dtype),
        build_language_model(checkpoint, config.text_config, state, device, dtype, quantize),
        read_tokenizer(checkpoint),
        template or Vicuna(),
        name=name,
    ).eval()


def require_plain(checkpoint: Checkpoint, config: Any) -> None:
    """Raises InputError for a LLaVA whose tower or projector is used in a way that is not known."""
    if not isinstance(config.vision_feature_layer, int):
        raise InputError(f"{checkpoint.name} joins several layers of its tower", why="only one can be read")
    if config.projector_hidden_act != "gelu":
        raise InputError(
            f"{checkpoint.name} has a projector with {config.projector_hidden_act}", why="only gelu is known"
        )


def load_tower(checkpoint: Checkpoint, config: Any, device: str | torch.device, dtype: torch.dtype) -> VitEncoder:
    """The tower, giving the tokens that the config chooses."""
    return VitEncoder(
        checkpoint.name,
        load_vision_tower(checkpoint, device=device, dtype=dtype),
        read_fit(checkpoint),
        weights=checkpoint.fingerprint,
        layer=config.vision_feature_layer,
        drop_class_token=config.vision_feature_select_strategy == "default",
    )


def load_projector(checkpoint: Checkpoint, config: Any, device: str | torch.device, dtype: torch.dtype) -> MlpConnector:
    """The MLP of two maps. Raises CorruptPart where its tensors do not fit the config."""
    with torch.device("meta"):
        connector = MlpConnector(
            config.vision_config.hidden_size, config.text_config.hidden_size, bias=config.multimodal_projector_bias
        )
    theirs = {"linear_1": "maps.0", "linear_2": "maps.1"}
    state: dict[str, Tensor] = {}
    for key, tensor in part_tensors(checkpoint, PROJECTOR, "linear_1.weight").items():
        module, _, leaf = key.partition(".")
        state[f"{theirs.get(module, module)}.{leaf}"] = tensor.to(device, dtype)
    expected = {key: each.shape for key, each in connector.state_dict().items()}
    require_equal(checkpoint, "a projector", expected, state)
    connector.load_state_dict(state, assign=True)
    return connector
