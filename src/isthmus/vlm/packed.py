"""Linear layers whose weights are also kept as oneDNN lays them out: on a processor, prompts are read faster.

The product of many rows with a weight matrix is most of a prefill. MKL, which `torch` calls for it, packs the matrix
anew each time; packed once, the same product in float32 takes .6 to .9 of the time here, and of 2 to 16 rows, as in a
batch's step, .5 to .8. Of a single row it takes longer, and the weights as they are serve that. The price is memory:
the packed weights come beside the others.
"""

import statistics
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GAIN = 1.05
"""What is gained must be more than this: less is not worth the memory."""

TRIES = 12
"""Of either product, to know what is gained: their medians differ by .05 from process to process."""

ROOM = 0.25
"""Of the memory that is free, packed weights take no more than this where nobody decided."""


class PackedLinear(nn.Linear):
    """nn.Linear with the same parameters, and beside them their packed copy, made at first use and again where they
    changed. What asks for gradients, is no float32, lies elsewhere than on the processor or is one row is computed as
    ever, and so is all within `torch.compile`, which packs in its own way."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.train(linear.training)
        self._packed: Tensor | None = None
        self._version = -1

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or not self._helps(x):
            return F.linear(x, self.weight, self.bias)
        return _product(x, self._packed_weight(), self.bias)

    def __getstate__(self) -> dict[str, Any]:
        """What is packed is neither saved nor copied."""
        return {**self.__dict__, "_packed": None}

    def _helps(self, x: Tensor) -> bool:
        rows = x.numel() > x.shape[-1] and x.dtype == torch.float32 and x.is_cpu
        learns = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        # of weights made in inference mode torch does not tell whether they changed
        return rows and not learns and not self.weight.is_inference()

    def _packed_weight(self) -> Tensor:
        if self._packed is None or self._version != self.weight._version:
            self._packed, self._version = _pack(self.weight.detach()), self.weight._version
        return self._packed


def pack(*modules: nn.Module) -> int:
    """Every plain nn.Linear in float32 on the processor becomes a PackedLinear, in place; how many did."""
    count = 0
    for module in modules:
        for name, child in module.named_children():
            if type(child) is nn.Linear and child.weight.dtype == torch.float32 and child.weight.is_cpu:
                setattr(module, name, PackedLinear(child))
                count += 1
            else:
                count += pack(child)
    return count


def can_pack() -> bool:
    """Whether this build of torch has oneDNN."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def worth_packing(*modules: nn.Module) -> bool:
    """Whether products are faster packed on this machine (measured once, .2 s at most) and their copies have room."""
    size = sum(
        each.weight.nbytes
        for module in modules
        for each in module.modules()
        if type(each) is nn.Linear and each.weight.dtype == torch.float32 and each.weight.is_cpu
    )
    return 0 < size < ROOM * _free_memory() and _gain() > GAIN


def _free_memory() -> int:
    """Bytes; 0 where this system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)


@cache
def _gain() -> float:
    """Time of a plain product over that of a packed one, medians of some tries in turns."""
    if not can_pack():
        return 0.0
    x, weight, bias = torch.ones(64, 1024), torch.ones(2816, 1024), torch.ones(2816)
    packed = _pack(weight)
    ways: tuple[Callable[[], Any], ...] = (lambda: F.linear(x, weight, bias), lambda: _product(x, packed, bias))
    taken: list[list[float]] = [[], []]
    for _ in range(TRIES):
        for way, times in zip(ways, taken, strict=True):
            start = time.perf_counter()
            way()
            times.append(time.perf_counter() - start)
    plain, faster = (statistics.median(times) for times in taken)
    return plain / faster


# What torch's own compiler emits for a linear layer whose weight is constant.


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return packed


def _product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product
