"""What a picture's tokens cost a language model before its first word: seconds here, arithmetic for a larger one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from isthmus.labs.turns import times
from isthmus.latency.named import model_named
from isthmus.latency.operations import How
from isthmus.latency.precisions import precision

LLAMA_7B = model_named("llava-1.5-7b").language
"""Touvron et al., 2023: what LLaVA's first models speak with."""


def flop_7b(tokens: int) -> float:
    """Of a 7B language model on a prompt: all matrices, the head left out, for it sees the last token alone; scores and
    mixing, each token looking at itself and all before it."""
    how = How(precision("bf16"), causal_skip=True)
    return sum(each.flops for each in LLAMA_7B.prefill(1, tokens, how))


@torch.no_grad()
def seconds(model: Any, lengths: Sequence[int], repeats: int, seed: int) -> dict[int, float]:
    """Processor time of a prefill of so many tokens, as `times` takes it."""
    embeddings = model.get_input_embeddings().weight
    width, dtype = embeddings.shape[1], embeddings.dtype
    prompts = {n: torch.randn(1, n, width, generator=torch.Generator().manual_seed(n)).to(dtype) for n in lengths}
    reads = {n: partial(model.base_model, inputs_embeds=each, use_cache=True) for n, each in prompts.items()}
    return times(reads, repeats, seed)
