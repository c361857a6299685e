"""The least a measured part could have taken on this machine, by the roofline."""

from pathlib import Path
from typing import Any

from isthmus.latency.ledger import Ledger
from isthmus.latency.named import model_named
from isthmus.latency.operations import How
from isthmus.latency.roofline import predict
from isthmus.latency.this_machine import measure_device
from isthmus.latency.work import PARTS, Request

NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def floors(name: str, dtype: Any, size: tuple[int, int] | None, found: Ledger, *, kept: bool) -> dict[str, float]:
    """Seconds by part of a prompt of as many tokens as were read, at the peaks of this machine, which are measured for
    it. `kept`: the picture was read before. Raises InputError where a model's arithmetic is not known."""
    shape = model_named(name.removeprefix("transformers:"))
    device = measure_device()
    sight = shape.sight(*size) if size else None
    if found.prompt_tokens is None:
        return {}
    text = found.prompt_tokens - (sight.tokens + sight.announcing if sight else 0)
    how = How(device.precision(NAMES[str(dtype).removeprefix("torch.")]))
    request = Request(picture=size, text=max(1, text), cached="prefix" if kept and size else "nothing", how=how)
    prediction = predict(shape, request, device)
    return {part: prediction.parts[part].floor for part in PARTS}


def picture_size(shown: Path | tuple[int, int] | None) -> tuple[int, int] | None:
    """Of what was shown."""
    from isthmus.images.open import size_of

    return size_of(shown) if isinstance(shown, Path) else shown
