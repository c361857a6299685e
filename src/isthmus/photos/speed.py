"""What makes indexing fast on the machine at hand: precision and threads.

bf16 moves a CLIP vector by less than .001 in cosine (benchmarks/index_throughput.py); queries are always fp32.
"""

import os
import time
from contextlib import AbstractContextManager

import torch

from isthmus.threads import torch_threads

GAIN = 1.25
"""bf16 must be faster than this: less is noise, and not worth any rounding."""


def indexing_threads() -> AbstractContextManager[None]:
    """Leave half of the processors to the threads that decode.

    A model's threads wait for each other at every layer, spinning; where decoding keeps them apart, one that works
    alone was twice as fast as two on two processors.
    """
    return torch_threads(max(1, (os.cpu_count() or 1) // 2))


def indexing_dtype(device: str) -> torch.dtype:
    """Measured on a processor, where bf16 is twice as fast or ten times slower, depending on its age (30 ms)."""
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device != "cpu":
        return torch.float32
    return torch.bfloat16 if _gain() > GAIN else torch.float32


def _gain() -> float:
    """fp32 time over bf16 time of a small layer: the best of some, in turns, since a busy machine only ever adds."""
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    layers = {dtype: (torch.randn(256, 768).to(dtype), torch.randn(768, 768).to(dtype)) for dtype in best}
    for _ in range(8):
        for dtype, (rows, weight) in layers.items():
            start = time.perf_counter()
            torch.mm(rows, weight)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.float32] / best[torch.bfloat16]
