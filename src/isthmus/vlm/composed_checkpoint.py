"""The parts of a composed model's Hugging Face folder: a language model and a tokenizer out of it, tensors by prefix.

Each tensor is read once and, where dtype and device are those asked for, becomes the parameter itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, AutoTokenizer

from isthmus.checkpoints import Checkpoint
from isthmus.errors import CorruptPart, InputError
from isthmus.progress import no_foreign_bars
from isthmus.vlm.quantised import Quantize, from_pretrained

BODY = ("language_model.model.", "model.language_model.", "model.text_model.", "language_model.")
HEAD = ("language_model.lm_head.", "lm_head.")
"""What the names of a decoder's body and of its head begin with where a model keeps them apart: as published, as
transformers 5 saves them, and as its modules are."""


def read_config(checkpoint: Checkpoint, made: Any, label: str) -> Any:
    """config.json as `made`, a config class of `transformers`. Raises InputError where it is of another model_type,
    CorruptPart where the class refuses it. `label` is the family's name."""
    values = checkpoint.config
    if values.get("model_type") != made.model_type:
        raise InputError(f"{checkpoint.name} is no {label}", why=f"its model_type is {values.get('model_type')}")
    try:
        return made(**{key: value for key, value in values.items() if key != "model_type"})
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptPart(f"{checkpoint.name} has a config that makes no {label}", why=str(error)) from None


def part_tensors(checkpoint: Checkpoint, prefixes: Sequence[str], landmark: str) -> dict[str, Tensor]:
    """The tensors under the one prefix below which `landmark` is found, prefix cut off. Raises CorruptPart."""
    keys = checkpoint.keys()
    prefix = next((each for each in prefixes if each + landmark in keys), None)
    if prefix is None:
        raise CorruptPart(f"{checkpoint.name} lacks the tensor {prefixes[0]}{landmark}", todo="fetch the model again")
    return checkpoint.tensors(prefix)


def decoder_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """A Llama-like decoder's tensors under the names of a causal model of its own, wherever body and head stand."""
    state = {f"model.{key}": each for key, each in part_tensors(checkpoint, BODY, "embed_tokens.weight").items()}
    keys = checkpoint.keys()
    for prefix in HEAD:
        if f"{prefix}weight" in keys:
            state["lm_head.weight"] = checkpoint.tensors(prefix)["weight"]
    return state


def require_equal(
    checkpoint: Checkpoint, part: str, expected: Mapping[str, torch.Size], found: Mapping[str, Tensor]
) -> None:
    """Raises CorruptPart naming the first tensor that is missing, left over or of another shape."""
    odd = sorted(key for key in {*expected, *found} if key not in found or expected.get(key) != found[key].shape)
    if odd:
        raise CorruptPart(
            f"{checkpoint.name} has {part} that does not fit its config",
            why=f"{odd[0]} is missing, left over or of another shape",
            todo="fetch the model again",
        )


def build_language_model(
    checkpoint: Checkpoint,
    config: Any,
    state: dict[str, Tensor],
    device: str | torch.device,
    dtype: torch.dtype,
    quantize: Quantize | None = None,
) -> Any:
    """A `transformers` language model of this config with these tensors, frozen and in eval mode; `state` is used up.

    Raises InputError for a config that is no language model's, CorruptPart where the tensors do not fit it, and as
    `quantised.from_pretrained`.
    """
    made: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    made = made or MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING.get(type(config), None)
    if made is None:
        raise InputError(f"{checkpoint.name} has the language model {config.model_type}", why="it is not causal")
    with torch.device("meta"):
        empty = made(config)
    expected = {key: each.shape for key, each in empty.state_dict().items()}
    _untie(empty.all_tied_weights_keys, expected, state)
    require_equal(checkpoint, "a language model", expected, state)
    for key in list(state):  # one after the other, so that there are never two copies of all of them
        state[key] = state.pop(key).to(dtype)
    with no_foreign_bars():
        # Without a folder, from_pretrained takes the state as it is: built on "meta", each tensor put in its place.
        return from_pretrained(made, None, quantize, device, dtype, config=config, state_dict=state)


def _untie(tied: Mapping[str, str], expected: dict[str, torch.Size], state: dict[str, Tensor]) -> None:
    """A tied tensor is another's second name, and files hold one of the two, or both: then it is dropped. Where they
    differ, as FLAN-T5's head and embeddings do, they are two tensors whatever the config says, as in `transformers`."""
    for key, source in tied.items():
        if source not in state and key in state:
            state[source] = state[key]
        if key not in state or torch.equal(state[key], state[source]):
            expected.pop(key, None)
            state.pop(key, None)


def read_tokenizer(checkpoint: Checkpoint, folder: str = "") -> Any:
    """The checkpoint's tokenizer, or that of a folder within it. Raises CorruptPart where there is none."""
    path: Path = checkpoint.folder / folder
    try:
        return AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        what = f"{checkpoint.name} has no tokenizer" + (f" in {folder}" if folder else "")
        raise CorruptPart(what, why=why, todo="fetch the model again") from None
