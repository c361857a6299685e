"""The ridge: the length of prompt at which a language model's prefill stops waiting for its weights and starts waiting
for its arithmetic. Above it fewer tokens pay, below it smaller weights do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from isthmus.latency.devices import Device
from isthmus.latency.languages import Decoder, EncoderDecoder
from isthmus.latency.model import Model
from isthmus.latency.operations import How
from isthmus.latency.roofline import Efficiency, time_of
from isthmus.latency.work import Request

LENGTHS = (1, 16, 64, 128, 256, 512, 1024, 2048, 4096)
LONGEST = 1e7


@dataclass(frozen=True)
class Ridge:
    """`tokens`: of each prompt at the ridge, by dtype. `seconds`: of a prefill, by dtype and length."""

    tokens: dict[str, float]
    lengths: tuple[int, ...]
    seconds: dict[str, tuple[float, ...]]


def ridge(
    model: Model,
    request: Request,
    device: Device,
    dtypes: Sequence[str] = (),
    lengths: Sequence[int] = LENGTHS,
    efficiency: Efficiency | None = None,
) -> Ridge:
    """For the request's dtype and `dtypes`, as far as the device multiplies in them and the model reads so much."""
    efficiency = efficiency or Efficiency()
    names = dict.fromkeys((request.how.precision.name, *dtypes))
    hows = {name: replace(request.how, precision=device.precision(name)) for name in names}
    hows = {name: how for name, how in hows.items() if device.multiplies(how.precision)}
    context = model.language.context or LONGEST
    kept = tuple(length for length in lengths if length <= context)
    language, batch = model.language, request.batch
    return Ridge(
        {name: crossing(language, batch, how, device, efficiency) for name, how in hows.items()},
        kept,
        {
            name: tuple(time_of(language.prefill(batch, n, how), device, efficiency).seconds for n in kept)
            for name, how in hows.items()
        },
    )


def crossing(language: Decoder | EncoderDecoder, batch: int, how: How, device: Device, efficiency: Efficiency) -> float:
    """Tokens of each of `batch` prompts at which the prefill's FLOPs take as long as reading its weights once, to a
    part in a million. They grow faster than the tokens, so there is one such length."""
    limit = reading(language, batch, how, device, efficiency)
    low, high = 0.0, LONGEST
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        enough = computing(language, batch, middle, how, device, efficiency) > limit
        low, high = (low, middle) if enough else (middle, high)
    return high


def computing(
    language: Decoder | EncoderDecoder, batch: int, tokens: float, how: How, device: Device, efficiency: Efficiency
) -> float:
    """Seconds of the prefill's FLOPs alone."""
    return sum(
        each.flops / (device.peak(each.math) * efficiency.compute) for each in language.prefill(batch, tokens, how)
    )


def reading(language: Decoder | EncoderDecoder, batch: int, how: How, device: Device, efficiency: Efficiency) -> float:
    """Seconds of reading its weights once."""
    weights = sum(each.weight_bytes for each in language.prefill(batch, 1, how))
    return weights / (device.bandwidth * efficiency.bandwidth)
