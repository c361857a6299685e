"""Speaker: a language model alone, be it by itself or out of a composed model."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from isthmus.errors import InputError
from isthmus.messages import user
from isthmus.vlm.chat_template import ChatTemplate
from isthmus.vlm.language_model import LanguageModel
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.prompt_tokenizer import PromptTokenizer
from isthmus.vlm.seal import seal
from isthmus.vlm.template import Template


@dataclass(frozen=True)
class Speaker:
    """`model`: any causal one of `transformers`. `template`: how it is asked; None for one that only continues text."""

    name: str
    model: Any
    tokenizer: Any
    prompts: PromptTokenizer
    template: Template | None

    @cached_property
    def fingerprint(self) -> str:
        """Hex hash over the weights as they are in memory, and how it is asked. Takes a second for each gigabyte."""
        written = "" if self.template is None else repr(self.template.pieces([user("?")], prompt=True))
        return hashlib.sha256(f"{seal(self.model)} {written}".encode()).hexdigest()[:32]

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @property
    def context(self) -> int:
        """How many tokens it reads at most."""
        return int(getattr(self.model.config, "max_position_embeddings", None) or 2**31)


def speaker_of(model: LanguageModel | VisionLanguageModel) -> Speaker:
    """The language model in either. Raises InputError for one that is not causal."""
    if isinstance(model, LanguageModel):
        network, template = model.model, _own_template(model.tokenizer)
        prompts = PromptTokenizer(model.tokenizer)
    else:
        network, template, prompts = model.language_model, _asks_without_pictures(model), model.prompts
    if getattr(network.config, "is_encoder_decoder", False):
        raise InputError(
            f"{model.name} has no language probes", why=f"its language model {network.config.model_type} is not causal"
        )
    return Speaker(model.name, network, model.tokenizer, prompts, template)


def _own_template(tokenizer: Any) -> Template | None:
    return ChatTemplate(tokenizer) if getattr(tokenizer, "chat_template", None) else None


def _asks_without_pictures(model: VisionLanguageModel) -> Template | None:
    """The model's template, or where it needs a picture, the tokenizer's own."""
    try:
        model.template.pieces([user("?")], prompt=True)
    except InputError:
        return _own_template(model.tokenizer)
    return model.template
