"""What a picture's tokens cost a language model before its first word: seconds here, arithmetic for a larger one."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

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
    """Processor time of a prefill of so many tokens, the median of `repeats`.

    Lengths take turns in an order shuffled anew each time, so that whatever slows the machine meets all alike; time of
    this thread, so that others' work is not counted.
    """
    random = np.random.default_rng(seed)
    width = model.get_input_embeddings().weight.shape[1]
    dtype = model.get_input_embeddings().weight.dtype
    prompts = {n: torch.randn(1, n, width, generator=torch.Generator().manual_seed(n)).to(dtype) for n in lengths}
    model.base_model(inputs_embeds=prompts[max(lengths)], use_cache=True)  # first uses set things up
    taken: dict[int, list[float]] = {n: [] for n in lengths}
    for _ in range(repeats):
        for n in random.permutation(list(lengths)).tolist():
            start = time.thread_time()
            model.base_model(inputs_embeds=prompts[n], use_cache=True)
            taken[n].append(time.thread_time() - start)
    return {n: statistics.median(times) for n, times in taken.items()}
