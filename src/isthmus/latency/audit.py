"""A claimed time to the first token, held against what the model asks of the device: is it possible, what utilisation
does it mean, and what would explain it?
"""

import bisect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from isthmus.errors import InputError
from isthmus.latency.devices import DEVICES, Device
from isthmus.latency.model import Model
from isthmus.latency.precisions import NAMES
from isthmus.latency.roofline import Efficiency, Prediction, predict
from isthmus.latency.work import PARTS, Part, Request

NEAR = 1.25
"""A claim within this factor of a prediction is explained by it: so far apart do good implementations lie."""
UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
LONGEST = 86_400.0
LONGEST_TEXT = 100_000

Verdict: TypeAlias = Literal["impossible", "ahead", "as predicted", "slow"]
"""Below the floor; below the prediction by more than NEAR; within it; above it by more."""


@dataclass(frozen=True)
class Explanation:
    """`seconds`: the floor under an impossible claim, the prediction of others, with this one thing changed."""

    change: str
    seconds: float


@dataclass(frozen=True)
class Share:
    """Of one part: what the claim says, and what is predicted, 0 to 1. `utilisation`: its floor over its claimed
    seconds; above 1 it is impossible."""

    part: Part
    claimed: float
    predicted: float
    seconds: float
    floor: float

    @property
    def utilisation(self) -> float:
        return self.floor / self.seconds


@dataclass(frozen=True)
class Audit:
    """`explanations`: nearest to the claim first."""

    prediction: Prediction
    claimed: float
    explanations: tuple[Explanation, ...]
    shares: tuple[Share, ...]

    @property
    def verdict(self) -> Verdict:
        if self.claimed < self.prediction.floor:
            return "impossible"
        if self.claimed < self.prediction.seconds / NEAR:
            return "ahead"
        return "as predicted" if self.claimed <= self.prediction.seconds * NEAR else "slow"

    @property
    def possible(self) -> bool:
        """Also its parts, where shares are claimed."""
        return self.verdict != "impossible" and all(each.utilisation <= 1 for each in self.shares)

    @property
    def utilisation(self) -> float:
        """Share of what the device could do for this work that the claim makes use of: floor over claim."""
        return self.prediction.floor / self.claimed

    @property
    def of_peak(self) -> float:
        """FLOPs of the model over what the device computes at its peak meanwhile (model FLOPs utilisation), weighing
        each product by its own peak."""
        device = self.prediction.device
        computing = sum(each.flops / device.peak(each.math) for each in self.prediction.work.operations)
        return computing / self.claimed

    @property
    def of_bandwidth(self) -> float:
        """Bytes that have to come from memory, over what the device reads meanwhile."""
        needed = self.prediction.total.weight_bytes
        return needed / (self.prediction.device.bandwidth * self.claimed)

    @property
    def slower(self) -> float:
        """How many times the prediction the claim is."""
        return self.claimed / self.prediction.seconds


def audit(
    model: Model,
    request: Request,
    device: Device,
    claimed: float,
    shares: Mapping[Part, float] | None = None,
    efficiency: Efficiency | None = None,
) -> Audit:
    """`claimed`: seconds to the first token; `shares`: 0 to 1 of them, by part. Raises InputError as `predict`, and for
    shares that cannot be."""
    _check(claimed, shares or {})
    found = predict(model, request, device, efficiency)
    parts = tuple(
        Share(part, share, found.share(part), share * claimed, found.parts[part].floor)
        for part, share in (shares or {}).items()
    )
    plain = Audit(found, claimed, (), parts)
    match plain.verdict:
        case "impossible":
            return replace(plain, explanations=_possible(model, found, claimed))
        case "slow" | "ahead":
            return replace(plain, explanations=_near(model, found, claimed))
        case "as predicted":
            return plain


def parse_duration(text: str) -> float:
    """ "450ms", "0.45s" or "900us" in seconds. Raises InputError."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(us|µs|ms|s)", text.strip())
    if found is None:
        raise InputError(f"{text!r} is no duration", todo="a number and its unit, such as 450ms or 0.45s")
    seconds = float(found[1]) * UNITS[found[2]]
    _check(seconds, {})
    return seconds


def parse_shares(words: list[str]) -> dict[Part, float]:
    """ "encoder=20" and "prefill=75", in percent. Raises InputError."""
    out: dict[Part, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        part = next((each for each in PARTS if each == name), None)
        number = re.fullmatch(r"(\d+\.?\d*)%?", value)
        if part is None or number is None:
            raise InputError(f"{word!r} is no share", todo=f"PART=PERCENT, parts are {', '.join(PARTS)}")
        out[part] = float(number[1]) / 100
    _check(1.0, out)
    return out


def _check(claimed: float, shares: Mapping[Part, float]) -> None:
    if not 0 < claimed <= LONGEST:
        raise InputError(f"a first token after {claimed:g} s is none", todo="above 0, and up to a day")
    for part, share in shares.items():
        if not 0 < share <= 1:
            raise InputError(f"the {part} cannot have {100 * share:g} % of the time", todo="above 0, up to 100")
    if sum(shares.values()) > 1 + 1e-9:
        raise InputError(f"the shares are {100 * sum(shares.values()):g} % together", todo="100 at most")


def _possible(model: Model, found: Prediction, claimed: float) -> tuple[Explanation, ...]:
    """Single changes whose floor is not above the claim, fewest gains first; and how few tokens it would take."""
    out = [
        Explanation(change, other.floor)
        for change, other in _alternatives(model, found)
        if other.fits and other.floor <= claimed
    ]
    out.sort(key=lambda each: -each.seconds)
    tokens = found.work.picture_tokens

    def least(few: int) -> float:
        fewer = replace(found.request, tokens=few)
        return predict(model, fewer, found.device, found.efficiency).floor

    if tokens and least(0) <= claimed:
        few = bisect.bisect_right(range(tokens), claimed, key=least) - 1
        out.append(Explanation(f"with {few} of the picture's {tokens} tokens", least(few)))
    return tuple(out)


def _near(model: Model, found: Prediction, claimed: float) -> tuple[Explanation, ...]:
    """Single changes that are predicted to take about as long as is claimed."""
    out = [Explanation(change, other.seconds) for change, other in _alternatives(model, found) if other.fits]
    near = [each for each in out if claimed / NEAR <= each.seconds <= claimed * NEAR]
    longer = model.language.context or LONGEST_TEXT
    room = longer - found.work.prompt + found.request.text

    def text(tokens: int) -> float:
        return predict(model, replace(found.request, text=tokens), found.device, found.efficiency).seconds

    if claimed > found.seconds and text(room) >= claimed:
        tokens = bisect.bisect_left(range(room), claimed, lo=1, key=text)
        near.append(Explanation(f"with {tokens} text tokens", text(tokens)))
    return tuple(sorted(near, key=lambda each: abs(each.seconds - claimed)))


def _alternatives(model: Model, found: Prediction) -> Iterator[tuple[str, Prediction]]:
    """The request with one thing changed: device, dtype, kernels, batch, cache, logits, or all that a plain program
    in float32 does."""
    request, device, efficiency = found.request, found.device, found.efficiency

    def other(request: Request, device: Device = device) -> Prediction:
        return predict(model, request, device, efficiency)

    dtype = request.how.precision.name
    for each in DEVICES.values():
        numbers = each.precision(each.other_half(dtype))
        if each.name != device.name and each.multiplies(numbers):
            label = f"on {each.name}" + (f" in {numbers.name}" if numbers.name != dtype else "")
            yield label, other(replace(request, how=replace(request.how, precision=numbers)), each)
    for name in NAMES:
        numbers = device.precision(name)
        if name != dtype and device.multiplies(numbers):
            label = "fp32 without TF32" if name == "fp32" and "tf32" in device.peaks else name
            yield f"in {label}", other(replace(request, how=replace(request.how, precision=numbers)))
    eager = replace(request.how, fused_attention=False, fused_elementwise=False)
    if request.how != eager:
        yield "with eager attention and unfused kernels", other(replace(request, how=eager))
        full = replace(eager, precision=device.precision("fp32"))
        if device.multiplies(full.precision) and dtype != "fp32":
            yield "in fp32, with eager attention and unfused kernels", other(replace(request, how=full))
    for batch in (1, 2, 4, 8, 16, 32):
        if batch != request.batch:
            yield f"with {batch} question{'s' if batch > 1 else ''} at once", other(replace(request, batch=batch))
    if request.logits == "last":
        yield "with logits of every position", other(replace(request, logits="all"))
    if request.picture is None:
        return
    yield "without the picture", other(replace(request, picture=None, tokens=None, cached="nothing"))
    if request.cached == "nothing":
        yield "with the picture's tokens kept from before", other(replace(request, cached="picture"))
    if request.cached != "prefix" and model.language.keeps_prefix:
        yield "with the picture's keys and values kept from before", other(replace(request, cached="prefix"))
