"""Low-rank additions to a language model's linear maps, by peft, in place: the model stays what it is in all else.

Source: LoRA (Hu et al., 2021).
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch import nn

from isthmus.errors import InputError, MissingPart

NAME = "default"
MARK = "lora_"
"""What their parameters have in their names."""
OUTER = "lora_B"
"""And those of the two that begin as zero: what an addition is, is in proportion to them."""
Targets: TypeAlias = Literal["all-linear", "attention"] | tuple[str, ...]
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "query_key_value", "c_attn", "q", "k", "v", "o")


@dataclass(frozen=True)
class AdapterShape:
    """`rank` r of each addition; `scale`: what it is multiplied by (peft's lora_alpha / r); `targets`: every linear map
    but the head, those of attention, or all whose names end so."""

    rank: int = 16
    scale: float = 2.0
    dropout: float = 0.0
    targets: Targets = "all-linear"


def has_adapters(language_model: nn.Module) -> bool:
    return any(MARK in name for name, _ in language_model.named_parameters())


def add_adapters(language_model: Any, shape: AdapterShape) -> None:
    """They begin at zero: until they learn, the model gives what it gave. They are float32 beside weights of any dtype.

    Raises MissingPart without peft, InputError where `targets` names no linear map.
    """
    targets = _targets(language_model, shape.targets)
    if not targets:
        raise InputError(f"lora.targets {shape.targets!r} names no linear map of this language model")
    config = _config(targets, shape)
    from peft import inject_adapter_in_model

    inject_adapter_in_model(config, language_model, NAME)
    for name, parameter in language_model.named_parameters():
        if MARK in name:
            parameter.data = parameter.data.float()


def merge_adapters(language_model: nn.Module) -> None:
    """What they add becomes part of the weights, and they are gone: as fast as before, and no longer apart."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    found = [(name, each) for name, each in language_model.named_modules() if isinstance(each, BaseTunerLayer)]
    for name, layer in found:
        layer.merge(safe_merge=True)
        parent, _, own = name.rpartition(".")
        setattr(language_model.get_submodule(parent), own, layer.get_base_layer())


def save_adapters(language_model: Any, shape: AdapterShape, folder: Path, *, base: str) -> None:
    """Writes them as peft does: adapter_config.json and adapter_model.safetensors, which
    `PeftModel.from_pretrained(language_model, folder)` reads. `base`: the name of what they were trained beside.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from safetensors.torch import save_file

    adapted = [name for name, each in language_model.named_modules() if isinstance(each, BaseTunerLayer)]
    config = _config({name.rpartition(".")[2] for name in adapted}, shape)
    config.base_model_name_or_path, config.inference_mode = base, True
    config.task_type = "SEQ_2_SEQ_LM" if language_model.config.is_encoder_decoder else "CAUSAL_LM"
    config.save_pretrained(str(folder))
    tensors = {
        f"base_model.model.{name}".replace(f".{NAME}.", "."): parameter.detach().cpu().contiguous()
        for name, parameter in language_model.named_parameters()
        if MARK in name
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _config(targets: Collection[str], shape: AdapterShape) -> Any:
    """peft's. Raises MissingPart without it."""
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingPart("LoRA needs peft", todo="pip install 'isthmus[train]'") from None
    return LoraConfig(
        r=shape.rank,
        lora_alpha=shape.scale * shape.rank,  # type: ignore[arg-type]  # any number scales
        lora_dropout=shape.dropout,
        target_modules=sorted(targets),
    )


def _targets(language_model: Any, targets: Targets) -> set[str]:
    """Module names by their last part. The head is none: it is the embeddings', or as wide as the vocabulary."""
    head = language_model.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in language_model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    if targets == "all-linear":
        return linear
    return linear & set(ATTENTION if targets == "attention" else targets)
