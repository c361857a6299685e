"""What a picture's tokens cost a language model before its first word: seconds here, and arithmetic for a larger one.

Notation: S tokens of the prompt, D width.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Decoder:
    """A language model's shape: blocks of four D x D maps in the attention and three of D x `hidden` (SwiGLU)."""

    layers: int
    width: int
    hidden: int

    def linear_flop(self, tokens: int) -> float:
        """Of all matrices on the prompt, the head left out: it sees the last token alone."""
        return 2.0 * tokens * self.layers * (4 * self.width**2 + 3 * self.width * self.hidden)

    def attention_flop(self, tokens: int) -> float:
        """Of scores and mixing, each token looking at itself and all before it."""
        return 2.0 * tokens * (tokens + 1) * self.width * self.layers

    def flop(self, tokens: int) -> float:
        return self.linear_flop(tokens) + self.attention_flop(tokens)

    def cache_bytes(self, tokens: int) -> int:
        """Keys and values in half precision."""
        return 2 * 2 * tokens * self.width * self.layers


LLAMA_7B = Decoder(layers=32, width=4096, hidden=11008)
"""Touvron et al., 2023: what LLaVA's first models speak with."""


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
