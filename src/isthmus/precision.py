"""What a model computes in on the machine at hand: bf16 where that is faster, float32 where it is not."""

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

GAIN = 1.25
"""bf16 must be faster than this: less is noise, and not worth any rounding."""
CLEAR = 4.0


def fast_dtype(device: str | torch.device) -> torch.dtype:
    """Measured once on a processor (up to 0.1 s), where bf16 is ten times faster or slower, depending on its age."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if kind == "cpu" and _gain() > GAIN else torch.float32


def fast_autocast(device: str | torch.device) -> AbstractContextManager[object]:
    """Where bf16 is the faster, what is computed inside is computed in it; the weights stay what they are."""
    dtype = fast_dtype(device)
    return nullcontext() if dtype == torch.float32 else torch.autocast(torch.device(device).type, dtype)


@cache
def _gain() -> float:
    """fp32 time over bf16 time of a small layer: the best of some, in turns, since a busy machine only ever adds; of
    few where one takes CLEAR times as long."""
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    layers = {dtype: (torch.ones(128, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)) for dtype in best}
    for turn in range(8):
        if turn > 1 and best[torch.bfloat16] > CLEAR * best[torch.float32]:
            break  # without instructions for it a turn takes long, and everybody who asks a question waits
        for dtype, (rows, weight) in layers.items():
            start = time.perf_counter()
            torch.mm(rows, weight)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.float32] / best[torch.bfloat16]
