"""The roofline: how long operations take on a device, and whether computing, memory or starting kernels binds them.

Each operation takes the longest of three: its FLOPs at the peak, its bytes at the bandwidth, its launches. Peaks are
never reached: `Efficiency` says what share of them is assumed, and every prediction carries it. Source: Williams et
al., 2009.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from isthmus.errors import InputError
from isthmus.latency.devices import Device
from isthmus.latency.model import Model
from isthmus.latency.operations import Operation, Operations
from isthmus.latency.work import PARTS, Part, Request, Work, work_of

Bound: TypeAlias = Literal["compute", "bandwidth", "launches"]
BOUNDS: tuple[Bound, ...] = ("compute", "bandwidth", "launches")


@dataclass(frozen=True)
class Efficiency:
    """Shares of the peak FLOP/s and of the bandwidth that are reached, above 0 to 1."""

    compute: float = 0.6
    bandwidth: float = 0.7

    def __post_init__(self) -> None:
        for name, share in (("compute", self.compute), ("bandwidth", self.bandwidth)):
            if not 0 < share <= 1:
                raise InputError(f"an efficiency of {share:g} of {name} is none", todo="above 0, up to 1")


IDEAL = Efficiency(1, 1)


@dataclass(frozen=True)
class Time:
    """`seconds` predicted, `by`: how much of them each bound takes; `floor`: seconds that no implementation of these
    products beats on this device."""

    seconds: float
    floor: float
    by: Mapping[Bound, float]
    flops: float
    weight_bytes: float
    activation_bytes: float

    @property
    def bound(self) -> Bound:
        return max(BOUNDS, key=lambda each: self.by[each])

    @property
    def bytes(self) -> float:
        return self.weight_bytes + self.activation_bytes


@dataclass(frozen=True)
class Prediction:
    """`parts`: of the way to the first token; `token`: of each later one."""

    model: str
    device: Device
    request: Request
    efficiency: Efficiency
    work: Work
    parts: Mapping[Part, Time]
    token: Time

    @property
    def total(self) -> Time:
        return _sum(self.parts.values())

    @property
    def seconds(self) -> float:
        """To the first token."""
        return self.total.seconds

    @property
    def floor(self) -> float:
        return self.total.floor

    def share(self, part: Part) -> float:
        """Of the seconds to the first token, 0 to 1."""
        return self.parts[part].seconds / self.seconds

    def over_floor(self, seconds: float) -> float:
        """How many times the floor a measured time to the first token is."""
        return seconds / self.floor

    @property
    def needs(self) -> float:
        """Bytes of weights, and of keys and values; activations are left out."""
        return self.work.weight_bytes + self.work.cache_bytes

    @property
    def fits(self) -> bool:
        return self.needs <= self.device.memory


def predict(model: Model, request: Request, device: Device, efficiency: Efficiency | None = None) -> Prediction:
    """Raises InputError as `work_of`, and where the device does not compute in the request's numbers."""
    efficiency = efficiency or Efficiency()
    work = work_of(model, request)
    least = work_of(model, replace(request, how=replace(request.how, causal_skip=True, fused_attention=True)))
    parts = {part: time_of(work.parts[part], device, efficiency, least=least.parts[part]) for part in PARTS}
    token = time_of(work.token, device, efficiency, least=least.token)
    return Prediction(model.name, device, request, efficiency, work, parts, token)


def time_of(operations: Operations, device: Device, efficiency: Efficiency, *, least: Operations | None = None) -> Time:
    """Seconds of all of them, one after the other. `least`: the same as lean as they can be, for the floor."""
    by = dict.fromkeys(BOUNDS, 0.0)
    for each in operations:
        bound, seconds = _longest(each, device, efficiency)
        by[bound] += seconds
    return Time(
        seconds=sum(by.values()),
        floor=floor(operations if least is None else least, device),
        by=by,
        flops=sum(each.flops for each in operations),
        weight_bytes=sum(each.weight_bytes for each in operations),
        activation_bytes=sum(each.activation_bytes for each in operations),
    )


def floor(operations: Iterable[Operation], device: Device) -> float:
    """Seconds at the peaks themselves, if activations never leave the chip and kernels start at once: FLOPs at the
    peak, or weights and kept keys and values from memory, whichever takes longer."""
    return sum(max(each.flops / device.peak(each.math), each.weight_bytes / device.bandwidth) for each in operations)


def _longest(each: Operation, device: Device, efficiency: Efficiency) -> tuple[Bound, float]:
    seconds: dict[Bound, float] = {
        "compute": each.flops / (device.peak(each.math) * efficiency.compute),
        "bandwidth": (each.weight_bytes + each.activation_bytes) / (device.bandwidth * efficiency.bandwidth),
        "launches": each.launches * device.launch,
    }
    bound = max(BOUNDS, key=lambda name: seconds[name])
    return bound, seconds[bound]


def _sum(times: Iterable[Time]) -> Time:
    every = tuple(times)
    return Time(
        seconds=sum(each.seconds for each in every),
        floor=sum(each.floor for each in every),
        by={bound: sum(each.by[bound] for each in every) for bound in BOUNDS},
        flops=sum(each.flops for each in every),
        weight_bytes=sum(each.weight_bytes for each in every),
        activation_bytes=sum(each.activation_bytes for each in every),
    )
