"""What this machine can do at most: products, memory and starting work, each the best of many short tries.

A busy machine only ever adds time, so the best try is nearest to the machine's own. Takes up to two seconds.
"""

import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from isthmus.latency.devices import Device
from isthmus.latency.precisions import Math
from isthmus.machine import machine
from isthmus.vlm.packed import PackedLinear, can_pack

SIDE = 512
"""Of the square products on a processor: its matrices (1 MB in float32) stay in the caches."""
SLOW_SIDE = 128
"""For numbers that a processor may have no instructions for: then even this takes some milliseconds."""
BUFFER = 2**28
"""Bytes read to measure memory, in PIECES timed one by one: each has left the caches when its turn comes again."""
PIECES = 8


def measure_device(budget: float = 0.2) -> Device:
    """This machine's first CUDA device where there is one, else its processor with torch's present number of threads,
    by the faster of torch's two libraries. `budget`: seconds for each of up to six figures."""
    return _cuda(budget) if torch.cuda.is_available() else _cpu(budget)


@torch.no_grad()
def _cpu(budget: float) -> Device:
    generator = torch.Generator().manual_seed(0)
    square = torch.randn(SIDE, SIDE, generator=generator)
    small = square[:SLOW_SIDE, :SLOW_SIDE].contiguous().bfloat16()
    plain = nn.Linear(SIDE, SIDE, bias=False)
    ways = (plain, PackedLinear(plain)) if can_pack() else (plain,)
    peaks: dict[Math, float] = {
        "fp32": 2 * SIDE**3 / min(_best(partial(way, square), budget) for way in ways),
        "bf16": 2 * SLOW_SIDE**3 / _best(lambda: small @ small, budget),
    }
    dynamic = _dynamic_int8(square)
    if dynamic is not None:
        peaks["int8"] = 2 * SIDE**3 / _best(dynamic, budget)
    pieces = torch.zeros(BUFFER // 4).chunk(PIECES)
    turn = iter(range(10**9))
    bandwidth = BUFFER / PIECES / _best(lambda: pieces[next(turn) % PIECES].sum(), budget, at_least=PIECES)
    number = torch.zeros(1)
    launch = _best(lambda: [number.add(1) for _ in range(100)], budget / 5) / 100
    threads = torch.get_num_threads()
    name = f"{machine()['processor']}, {threads} thread{'s' if threads > 1 else ''}"
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return Device(name, peaks, bandwidth, memory, launch)


def _dynamic_int8(square: torch.Tensor) -> Callable[[], Any] | None:
    """Activations are quantised on the way in, as torch's dynamic quantisation does; None where torch has none."""
    if torch.backends.quantized.engine == "none":
        return None
    with warnings.catch_warnings():  # deprecated in torch 2.13 in favour of a package that need not be here
        warnings.simplefilter("ignore")
        weight = torch.quantize_per_tensor(square, 0.05, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(weight, None)
    return lambda: torch.ops.quantized.linear_dynamic(square, packed)


def _cuda(budget: float) -> Device:
    side = 4096
    facts = torch.cuda.get_device_properties(0)
    square = torch.randn(side, side, device="cuda")
    allowed = torch.backends.cuda.matmul.allow_tf32
    peaks: dict[Math, float] = {}
    try:
        kinds: tuple[tuple[Math, torch.dtype, bool], ...] = (
            ("fp32", torch.float32, False), ("tf32", torch.float32, True),
            ("fp16", torch.float16, False), ("bf16", torch.bfloat16, False),
        )  # fmt: skip
        for math, dtype, tf32 in kinds:
            if math in ("tf32", "bf16") and not torch.cuda.is_bf16_supported(including_emulation=False):
                continue  # both came with the same generation
            torch.backends.cuda.matmul.allow_tf32 = tf32
            matrix = square.to(dtype)
            peaks[math] = 2 * side**3 / _best(lambda m=matrix: _settled(lambda: m @ m), budget)  # type: ignore[misc]
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
    whole = torch.zeros(2**28, device="cuda")  # 1 GiB
    bandwidth = 2**30 / _best(lambda: _settled(whole.sum), budget)
    number = torch.zeros(1, device="cuda")
    launch = _best(lambda: _settled(lambda: [number.add_(1) for _ in range(1000)]), budget) / 1000
    return Device(facts.name, peaks, bandwidth, float(facts.total_memory), launch)


def _settled(run: Callable[[], Any]) -> None:
    run()
    torch.cuda.synchronize()


def _best(run: Callable[[], Any], budget: float, at_least: int = 3) -> float:
    """Seconds of the fastest try within the budget, after one that counts for nothing. On one thread of a processor
    they are the thread's own, so that others' work is not counted."""
    own = not torch.cuda.is_available() and torch.get_num_threads() == 1
    clock = time.thread_time if own else time.perf_counter
    run()
    best, tries, end = float("inf"), 0, time.perf_counter() + budget
    while tries < at_least or time.perf_counter() < end:
        start = clock()
        run()
        best, tries = min(best, clock() - start), tries + 1
    return best
