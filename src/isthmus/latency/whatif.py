"""What if: a request changed by a few words, and one after the other over many values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from isthmus.errors import InputError
from isthmus.latency.devices import Device, device_named
from isthmus.latency.model import Model
from isthmus.latency.roofline import Efficiency, Prediction, predict
from isthmus.latency.work import Request

KEYS = ("tokens", "text", "picture", "batch", "dtype", "sdpa", "fuse", "cache", "logits", "gpu")
Axis: TypeAlias = Literal["tokens", "text", "resolution", "batch"]
AXES: dict[Axis, tuple[int, ...]] = {
    "tokens": (1, 16, 32, 64, 144, 256, 576, 1024),
    "text": (16, 32, 64, 128, 256, 512, 1024),
    "resolution": (224, 336, 448, 512, 672, 896, 1024, 1344),
    "batch": (1, 2, 4, 8, 16, 32),
}
"""What a sweep goes over, and where where nothing is asked for; a resolution is the side of a square picture."""


@dataclass(frozen=True)
class Change:
    """The same model before and after."""

    before: Prediction
    after: Prediction

    @property
    def saved(self) -> float:
        """Seconds to the first token; below 0 where it takes longer."""
        return self.before.seconds - self.after.seconds


def what_if(model: Model, request: Request, device: Device, words: str, efficiency: Efficiency | None = None) -> Change:
    """Both predictions. Raises InputError as `changed` and `predict`."""
    other, elsewhere = changed(request, device, words)
    return Change(predict(model, request, device, efficiency), predict(model, other, elsewhere, efficiency))


def changed(request: Request, device: Device, words: str) -> tuple[Request, Device]:
    """The request and the device after `words`, such as "tokens=64 dtype=int8 sdpa=off".

    tokens (a picture's, that reach the language model), text, picture (WxH or none), batch, dtype, sdpa (on, off),
    fuse (on, off: element-wise work), cache (nothing, picture, prefix), logits (last, all), gpu. Raises InputError for
    anything else.
    """
    asked: dict[str, str] = {}
    for word in words.replace(",", " ").split():
        key, _, value = word.partition("=")
        if key not in KEYS or not value:
            raise InputError(f"{word!r} changes nothing", todo=f"KEY=VALUE, with {', '.join(KEYS)}")
        asked[key] = value
    device = device_named(asked["gpu"]) if "gpu" in asked else device
    if "tokens" in asked:
        request = replace(request, tokens=_whole("tokens", asked["tokens"]))
    if "text" in asked:
        request = replace(request, text=_whole("text", asked["text"]))
    if "batch" in asked:
        request = replace(request, batch=_whole("batch", asked["batch"]))
    if "picture" in asked:
        request = replace(request, picture=None if asked["picture"] == "none" else parse_size(asked["picture"]))
    if "cache" in asked:
        request = replace(request, cached=_one_of("cache", asked["cache"], ("nothing", "picture", "prefix")))  # type: ignore[arg-type]
    if "logits" in asked:
        request = replace(request, logits=_one_of("logits", asked["logits"], ("last", "all")))  # type: ignore[arg-type]
    how = request.how
    if "dtype" in asked or "gpu" in asked:
        kept = device.other_half(how.precision.name)  # a model in bf16 is one in fp16 where there is no bf16
        how = replace(how, precision=device.precision(asked.get("dtype", kept)))
    if "sdpa" in asked:
        how = replace(how, fused_attention=_one_of("sdpa", asked["sdpa"], ("on", "off")) == "on")
    if "fuse" in asked:
        how = replace(how, fused_elementwise=_one_of("fuse", asked["fuse"], ("on", "off")) == "on")
    return replace(request, how=how), device


def sweep(
    model: Model,
    request: Request,
    device: Device,
    over: Axis,
    values: Sequence[int] = (),
    efficiency: Efficiency | None = None,
) -> list[tuple[int, Prediction]]:
    """A prediction for each value; without values for those of AXES that the model takes. Raises InputError as
    `predict`, for values that were asked for."""
    out = []
    for value in values or AXES[over]:
        try:
            out.append((value, predict(model, at(request, over, value), device, efficiency)))
        except InputError:
            if values or not out:
                raise
    return out


def at(request: Request, over: Axis, value: int) -> Request:
    """The request with this value on the axis."""
    match over:
        case "tokens":
            return replace(request, tokens=value)
        case "text":
            return replace(request, text=value)
        case "resolution":
            return replace(request, picture=(value, value))
        case "batch":
            return replace(request, batch=value)


def parse_size(text: str) -> tuple[int, int]:
    """ "512x384" as (width, height). Raises InputError."""
    found = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if found is None:
        raise InputError(f"{text!r} is no size of a picture", todo="WIDTHxHEIGHT, such as 512x512")
    return int(found[1]), int(found[2])


def _whole(key: str, value: str) -> int:
    if not value.isdecimal():
        raise InputError(f"{key}={value} is no whole number", todo=f"such as {key}=64")
    return int(value)


def _one_of(key: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InputError(f"{key}={value} is not known", todo=f"{key} is {' or '.join(choices)}")
    return value
