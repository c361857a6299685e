"""A checkpoint's processor, put together from its parts so that torchvision is never needed.

transformers' own AutoProcessor wants torchvision wherever a processor can also take videos (Qwen-VL, SmolVLM), and for
some picture processors whose Pillow form works without it. Videos are no part of a Message, so here they are left out,
and pictures take the Pillow form wherever there is one: the same pixels whatever else is installed.
"""

import importlib
from collections.abc import Callable
from textwrap import shorten
from typing import Any

import transformers
from transformers import (
    PROCESSOR_MAPPING,
    AutoFeatureExtractor,
    AutoTokenizer,
    PreTrainedConfig,
    ProcessorMixin,
)

# `transformers.AutoImageProcessor` is a stand-in that asks for torchvision
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from isthmus.checkpoints import Checkpoint
from isthmus.errors import CorruptPart, InputError, MissingPart

UNDECLARED = {
    f"{name}ImageProcessor": f"transformers.models.{name.lower()}.image_processing_pil_{name.lower()}"
    for name in ("Idefics2", "Idefics3", "SmolVLM", "Ovis2")
}
"""Picture processors whose Pillow form needs no torchvision, though transformers 5.17 says so: class -> module."""


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The tokenizer of a model that takes text only. Raises CorruptPart where its files do not make one."""
    return _read(
        checkpoint, "tokenizer", lambda: AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    )


def load_processor(checkpoint: Checkpoint, config: PreTrainedConfig) -> Any:
    """The processor of a model that takes pictures, without videos.

    Raises MissingPart where one of its parts needs a package that is not installed, InputError where it is a class
    transformers does not have, CorruptPart where its files do not make one.
    """
    named = _processor_class(checkpoint, config)
    parts = [_attribute(checkpoint, name) for name in named.get_attributes()]
    kind: Any = type(named.__name__, (_WithoutVideo, named), {})
    settings, _ = kind.get_processor_dict(checkpoint.folder, local_files_only=True)
    try:
        return kind.from_args_and_dict(parts, settings)
    except ImportError as error:
        raise _missing(checkpoint, error) from None
    except (ValueError, TypeError) as error:
        raise CorruptPart(f"{checkpoint.name} has a processor that cannot be made", why=str(error)) from None


class _WithoutVideo:
    """Mixed into a processor's class: its video processor may be None."""

    def check_argument_for_proper_class(self, argument_name: str, argument: object) -> Any:
        if argument_name == "video_processor" and argument is None:
            return None
        return super().check_argument_for_proper_class(argument_name, argument)  # type: ignore[misc]


def _processor_class(checkpoint: Checkpoint, config: PreTrainedConfig) -> Any:
    """The class a file names, else the one that belongs to the model: Pixtral's is not that of its LLaVA config."""
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        name = (checkpoint.json(file) or {}).get("processor_class")
        if name is None:
            continue
        found = getattr(transformers, str(name), None)
        if isinstance(found, type) and issubclass(found, ProcessorMixin):
            return found
        raise InputError(
            f"{checkpoint.name} has the processor {name}",
            why="transformers has none of that name and code in a repository is not run",
            todo="use a model whose processor is part of transformers",
        )
    if type(config) in PROCESSOR_MAPPING:
        return PROCESSOR_MAPPING[type(config)]
    raise InputError(f"{checkpoint.name} has no processor", todo="use a model that says how it reads pictures and text")


def _attribute(checkpoint: Checkpoint, name: str) -> Any:
    folder = checkpoint.folder
    match name:
        case "video_processor":
            return None
        case "image_processor":
            return _image_processor(checkpoint)
        case "tokenizer":
            return load_tokenizer(checkpoint)
        case "feature_extractor":  # of sounds, in models that hear too
            kind: Any = AutoFeatureExtractor
            return _read(checkpoint, name, lambda: kind.from_pretrained(folder, local_files_only=True))
    if name.endswith("_tokenizer"):  # InstructBLIP's of its Q-Former
        return _read(
            checkpoint, name, lambda: AutoTokenizer.from_pretrained(folder, subfolder=name, local_files_only=True)
        )
    raise InputError(f"{checkpoint.name} has a processor with a {name}", why="only pictures and text are supported")


def _image_processor(checkpoint: Checkpoint) -> Any:
    folder = checkpoint.folder
    beside = checkpoint.json("processor_config.json") or {}
    settings = beside.get("image_processor") or checkpoint.json("preprocessor_config.json") or {}
    name = str(settings.get("image_processor_type", "")).removesuffix("Fast").removesuffix("Pil")
    if name in UNDECLARED:
        kind: Any = getattr(importlib.import_module(UNDECLARED[name]), f"{name}Pil")
        return _read(checkpoint, "picture processor", lambda: kind.from_pretrained(folder, local_files_only=True))
    auto: Any = AutoImageProcessor
    return _read(
        checkpoint, "picture processor", lambda: auto.from_pretrained(folder, backend="pil", local_files_only=True)
    )


def _read(checkpoint: Checkpoint, what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except ImportError as error:
        raise _missing(checkpoint, error) from None
    except Exception as error:  # damaged files were seen to raise KeyError, ValueError, OSError and plain Exception
        if "torchvision" in str(error).lower():
            raise _missing(checkpoint, error) from None
        why = shorten(f"{type(error).__name__}: {error}", 300)
        raise CorruptPart(
            f"{checkpoint.name} has no {what} that can be read", why=why, todo="fetch it again"
        ) from error


def _missing(checkpoint: Checkpoint, error: Exception) -> MissingPart:
    """transformers says what is missing in several lines; of them all, a user needs the package's name."""
    text = str(error).lower()
    package = next((each for each in ("torchvision", "num2words", "sentencepiece", "tiktoken") if each in text), "")
    return MissingPart(
        f"{checkpoint.name} cannot be used",
        why=f"transformers' processor for it needs {package}" if package else shorten(text, 300),
        todo=f"pip install {package}, or use another model" if package else "use another model",
    )
