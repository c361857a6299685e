"""What devices can do at most, as their makers publish it.

Sources, peaks of dense products (the makers' figures "with sparsity" halved), bandwidth and memory: NVIDIA's A100,
H100, H200, L4, L40S, A10 and T4 data sheets, the GA102 and Ada white papers (appendices, 16-bit products with 32-bit
sums), Apple's newsroom on M1, M1 Pro/Max/Ultra, M2, M2 Pro/Max/Ultra. Apple's GPUs multiply 16 bits as fast as 32; of
M3 and M4 Apple publishes bandwidth but no FLOP/s, so they are not here. `launch` is no maker's figure: about what the
shortest kernel takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.errors import InputError
from isthmus.latency.precisions import Base, Math, Precision, precision

HERE = "here"
CUDA_LAUNCH, METAL_LAUNCH = 3e-6, 8e-6


@dataclass(frozen=True)
class Device:
    """`peaks`: FLOP/s of products by what they are computed in; `bandwidth`: bytes/s from memory; `memory`: bytes;
    `launch`: seconds to start a kernel."""

    name: str
    peaks: Mapping[Math, float]
    bandwidth: float
    memory: float
    launch: float

    @property
    def base(self) -> Base:
        """What a model is kept in where nothing else is asked for: 16 bits, unless 32 are the faster."""
        halves: tuple[Base, ...] = ("bf16", "fp16")
        return next((half for half in halves if self.peaks.get(half, 0.0) >= self.peaks["fp32"]), "fp32")

    def precision(self, name: str) -> Precision:
        """The numbers of that name as this device has them. Raises InputError as `precisions.precision`."""
        return precision(name, self.base)

    def other_half(self, name: str) -> str:
        """`name`, unless it is 16 bits that this device does not multiply and the other 16 are what it does."""
        return self.base if name in ("bf16", "fp16") and name not in self.peaks and self.base != "fp32" else name

    def multiplies(self, numbers: Precision) -> bool:
        """Whether it computes in them."""
        return {numbers.plain.math, numbers.matrices.math} <= set(self.peaks)

    def peak(self, math: Math) -> float:
        """FLOP/s. Raises InputError where it does not compute in `math`."""
        if math not in self.peaks:
            raise InputError(
                f"{self.name} does not multiply in {math}", todo=f"it does in {', '.join(sorted(self.peaks))}"
            )
        return self.peaks[math]


def device_named(name: str) -> Device:
    """Of the table, by its key in any case. Raises InputError for another."""
    found = DEVICES.get(name.lower())
    if found is None:
        raise InputError(f"there is no device {name!r} in the table", todo=f"known are {', '.join(DEVICES)}, {HERE}")
    return found


def _nvidia(
    name: str,
    gigabytes: float,
    memory: float,
    *,
    fp32: float,
    fp16: float,
    int8: float,
    tf32: float = 0.0,
    bf16: bool = True,
    fp8: bool = False,
) -> Device:
    """TFLOP/s; GB/s, GB."""
    peaks: dict[Math, float] = {"fp32": fp32, "fp16": fp16, "int8": int8}
    peaks |= {"tf32": tf32} if tf32 else {}
    peaks |= {"bf16": fp16} if bf16 else {}
    peaks |= {"fp8": int8} if fp8 else {}
    return Device(name, {math: 1e12 * each for math, each in peaks.items()}, 1e9 * gigabytes, 1e9 * memory, CUDA_LAUNCH)


def _apple(name: str, teraflops: float, gigabytes: float, memory: float) -> Device:
    peaks: dict[Math, float] = {"fp32": 1e12 * teraflops, "fp16": 1e12 * teraflops}
    return Device(name, peaks, 1e9 * gigabytes, 1e9 * memory, METAL_LAUNCH)


DEVICES: Mapping[str, Device] = {
    "a100-40g": _nvidia("A100 40 GB", 1555, 40, fp32=19.5, tf32=156, fp16=312, int8=624),
    "a100-80g": _nvidia("A100 80 GB", 2039, 80, fp32=19.5, tf32=156, fp16=312, int8=624),
    "h100": _nvidia("H100 SXM", 3350, 80, fp32=67, tf32=494.7, fp16=989.4, int8=1979, fp8=True),
    "h200": _nvidia("H200", 4800, 141, fp32=67, tf32=494.7, fp16=989.4, int8=1979, fp8=True),
    "l40s": _nvidia("L40S", 864, 48, fp32=91.6, tf32=183, fp16=362, int8=733, fp8=True),
    "l4": _nvidia("L4", 300, 24, fp32=30.3, tf32=60, fp16=121, int8=242, fp8=True),
    "a10": _nvidia("A10", 600, 24, fp32=31.2, tf32=62.5, fp16=125, int8=250),
    "t4": _nvidia("T4", 320, 16, fp32=8.1, fp16=65, int8=130, bf16=False),
    "rtx-3090": _nvidia("RTX 3090", 936, 24, fp32=35.6, tf32=35.6, fp16=71, int8=284),
    "rtx-4090": _nvidia("RTX 4090", 1008, 24, fp32=82.6, tf32=82.6, fp16=165.2, int8=660.6, fp8=True),
    "m1": _apple("M1", 2.6, 68.25, 16),
    "m1-pro": _apple("M1 Pro", 5.2, 200, 32),
    "m1-max": _apple("M1 Max", 10.4, 400, 64),
    "m1-ultra": _apple("M1 Ultra", 21, 800, 128),
    "m2": _apple("M2", 3.6, 100, 24),
    "m2-pro": _apple("M2 Pro", 6.8, 200, 32),
    "m2-max": _apple("M2 Max", 13.6, 400, 96),
    "m2-ultra": _apple("M2 Ultra", 27.2, 800, 192),
}
"""Apple's with the most GPU cores and memory each was sold with."""
