"""Language models by name: any causal one that `transformers` knows, frozen, with its tokenizer."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from isthmus.checkpoints import resolve
from isthmus.errors import CorruptPart
from isthmus.progress import no_foreign_bars
from isthmus.vlm.quantised import Quantize, from_pretrained


@dataclass(frozen=True)
class LanguageModel:
    """A `transformers` causal language model as it is, never patched. `fingerprint` is over its weights."""

    name: str
    model: Any
    tokenizer: Any
    fingerprint: str


def load_language_model(
    name: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    quantize: Quantize | None = None,
) -> LanguageModel:
    """`default/smollm2`, a Hugging Face id, or a folder; frozen and in eval mode. dtype None: as stored.

    Raises MissingPart and CorruptPart as `resolve` does, CorruptPart where `transformers` cannot build it, and as
    `quantised.from_pretrained`.
    """
    checkpoint = resolve(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)
        with no_foreign_bars():
            model: Any = from_pretrained(
                AutoModelForCausalLM, checkpoint.folder, quantize, device, dtype or "auto", local_files_only=True
            )
    except (OSError, ValueError, KeyError) as error:
        raise CorruptPart(
            f"{name} is no causal language model", why=(str(error).splitlines() or [type(error).__name__])[0]
        ) from None
    return LanguageModel(name, model, tokenizer, checkpoint.fingerprint)
