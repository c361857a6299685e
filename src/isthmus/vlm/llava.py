"""LLaVA-1.5 out of Hugging Face folders: CLIP tower, two-layer MLP, Llama.

Source: LLaVA-1.5 (Liu et al., 2023). The language model is an ordinary causal one of `transformers`; the tower's tokens
are those of layer -2 without the class token, as the config says.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoTokenizer, LlavaConfig

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.connectors.mlp import MlpConnector
from isthmus.errors import CorruptPart, InputError
from isthmus.progress import no_foreign_bars
from isthmus.vision.encoder import VitEncoder, read_fit
from isthmus.vision.importers import load_vision_tower
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import Template, Vicuna

LANGUAGE = ("language_model.model.", "model.language_model.", "language_model.")
PROJECTOR = ("multi_modal_projector.", "model.multi_modal_projector.")
HEAD = ("language_model.lm_head.", "lm_head.")
"""What the names of each part begin with: as published and as transformers 5 saves them, and as its modules are."""


def load_llava(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    template: Template | None = None,
) -> VisionLanguageModel:
    """The LLaVA-1.5 model `name`, a Hugging Face id or a folder, everything frozen but the connector.

    dtype None: as the weights are stored. `template` None: Vicuna's. Each tensor is read once and, where dtype and
    device are those asked for, becomes the parameter itself.
    Raises MissingPart and CorruptPart as `resolve`, InputError for another kind of model.
    """
    checkpoint = resolve(name)
    config = _config(checkpoint)
    state = _language_state(checkpoint)
    dtype = dtype or next(iter(state.values())).dtype
    return VisionLanguageModel(
        _encoder(checkpoint, config, device, dtype),
        _connector(checkpoint, config, device, dtype),
        _language_model(checkpoint, config, state, device, dtype),
        _tokenizer(checkpoint),
        template or Vicuna(),
        name=name,
    )


def _config(checkpoint: Checkpoint) -> Any:
    values = checkpoint.config
    if values.get("model_type") != "llava":
        raise InputError(f"{checkpoint.name} is no LLaVA-1.5", why=f"its model_type is {values.get('model_type')}")
    config = LlavaConfig(**{key: value for key, value in values.items() if key != "model_type"})
    if not isinstance(config.vision_feature_layer, int):
        raise InputError(f"{checkpoint.name} joins several layers of its tower", why="only one can be read")
    if config.projector_hidden_act != "gelu":
        raise InputError(
            f"{checkpoint.name} has a projector with {config.projector_hidden_act}", why="only gelu is known"
        )
    return config


def _encoder(checkpoint: Checkpoint, config: Any, device: str | torch.device, dtype: torch.dtype) -> VitEncoder:
    return VitEncoder(
        checkpoint.name,
        load_vision_tower(checkpoint, device=device, dtype=dtype),
        read_fit(checkpoint),
        weights=checkpoint.fingerprint,
        layer=config.vision_feature_layer,
        drop_class_token=config.vision_feature_select_strategy == "default",
    )


def _connector(checkpoint: Checkpoint, config: Any, device: str | torch.device, dtype: torch.dtype) -> MlpConnector:
    with torch.device("meta"):
        connector = MlpConnector(
            config.vision_config.hidden_size, config.text_config.hidden_size, bias=config.multimodal_projector_bias
        )
    theirs = {"linear_1": "maps.0", "linear_2": "maps.1"}
    state: dict[str, Tensor] = {}
    for key, tensor in _part(checkpoint, PROJECTOR, "linear_1.weight").items():
        module, _, leaf = key.partition(".")
        state[f"{theirs.get(module, module)}.{leaf}"] = tensor.to(device, dtype)
    expected = {key: each.shape for key, each in connector.state_dict().items()}
    _require_equal(checkpoint, "a projector", expected, state)
    connector.load_state_dict(state, assign=True)
    return connector


def _language_state(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The language model's tensors under the names of a causal model of its own."""
    state = {f"model.{key}": each for key, each in _part(checkpoint, LANGUAGE, "embed_tokens.weight").items()}
    keys = checkpoint.keys()
    for prefix in HEAD:
        if f"{prefix}weight" in keys:
            state["lm_head.weight"] = checkpoint.tensors(prefix)["weight"]
    return state


def _language_model(
    checkpoint: Checkpoint, config: Any, state: dict[str, Tensor], device: str | torch.device, dtype: torch.dtype
) -> Any:
    made: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config.text_config), None)
    if made is None:
        raise InputError(
            f"{checkpoint.name} has the language model {config.text_config.model_type}", why="it is not causal"
        )
    with torch.device("meta"):
        expected = {key: each.shape for key, each in made(config.text_config).state_dict().items()}
    if config.text_config.tie_word_embeddings:
        del expected["lm_head.weight"]
        state.pop("lm_head.weight", None)
    _require_equal(checkpoint, "a language model", expected, state)
    for key in list(state):  # one after the other, so that there are never two copies of all of them
        state[key] = state.pop(key).to(dtype)
    with no_foreign_bars():
        # Without a folder, from_pretrained takes the state as it is: built on "meta", each tensor put in its place.
        model = made.from_pretrained(
            None, config=config.text_config, state_dict=state, dtype=dtype, attn_implementation="sdpa"
        )
    return model.to(device).eval().requires_grad_(False)


def _tokenizer(checkpoint: Checkpoint) -> Any:
    try:
        return AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise CorruptPart(f"{checkpoint.name} has no tokenizer", why=why, todo="fetch the model again") from None


def _part(checkpoint: Checkpoint, prefixes: tuple[str, ...], landmark: str) -> dict[str, Tensor]:
    """The tensors under the one prefix below which `landmark` is found."""
    keys = checkpoint.keys()
    prefix = next((each for each in prefixes if each + landmark in keys), None)
    if prefix is None:
        raise CorruptPart(f"{checkpoint.name} lacks the tensor {prefixes[0]}{landmark}", todo="fetch the model again")
    return checkpoint.tensors(prefix)


def _require_equal(
    checkpoint: Checkpoint, part: str, expected: Mapping[str, torch.Size], found: Mapping[str, Tensor]
) -> None:
    odd = sorted(key for key in {*expected, *found} if key not in found or expected.get(key) != found[key].shape)
    if odd:
        raise CorruptPart(
            f"{checkpoint.name} has {part} that does not fit its config",
            why=f"{odd[0]} is missing, left over or of another shape",
            todo="fetch the model again",
        )
