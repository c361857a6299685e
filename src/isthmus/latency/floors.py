"""What was measured, as the arithmetic sees it: the least each part could take here, and what a change would do."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isthmus.backends.load import PREFIX, is_ours
from isthmus.latency.devices import Device
from isthmus.latency.ledger import Ledger
from isthmus.latency.model import Model
from isthmus.latency.named import model_named
from isthmus.latency.operations import How
from isthmus.latency.roofline import predict
from isthmus.latency.this_machine import measure_device
from isthmus.latency.whatif import Change, what_if
from isthmus.latency.work import PARTS, Request

NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True)
class Here:
    """A model, the request that was measured, and this machine's peaks."""

    model: Model
    request: Request
    device: Device

    def floors(self) -> dict[str, float]:
        """Seconds by part at the peaks."""
        parts = predict(self.model, self.request, self.device).parts
        return {part: parts[part].floor for part in PARTS}

    def what_if(self, words: str) -> "Again":
        """Raises InputError as `whatif.changed`."""
        change = what_if(self.model, self.request, self.device, words)
        return Again(change, *_difference(self.request, change.after.request, self.device, change.after.device))


@dataclass(frozen=True)
class Again:
    """What a change is predicted to do. `runnable`: whether it can be measured here; then with so many text tokens
    `more`, a picture of `size`, in `dtype`, and with what was read `kept`."""

    change: Change
    runnable: bool
    more: int
    size: tuple[int, int] | None
    dtype: str
    kept: bool

    @property
    def predicted(self) -> float:
        """Time after over time before."""
        return self.change.after.seconds / self.change.before.seconds


def here(name: str, dtype: Any, size: tuple[int, int] | None, found: Ledger, *, kept: bool) -> Here | None:
    """For a prompt of as many tokens as were read; None where a server did not count them. `kept`: the picture was read
    before. Raises InputError where a model's arithmetic is not known."""
    shape = model_named(name.removeprefix(PREFIX))
    if is_ours(name):
        shape = shape.as_ours()
    if found.prompt_tokens is None:
        return None
    device = measure_device()
    sight = shape.sight(*size) if size else None
    text = found.prompt_tokens - (sight.tokens + sight.announcing if sight else 0)
    how = How(device.precision(NAMES[str(dtype).removeprefix("torch.")]))
    request = Request(picture=size, text=max(1, text), cached="prefix" if kept and size else "nothing", how=how)
    return Here(shape, request, device)


def picture_size(shown: Path | tuple[int, int] | None) -> tuple[int, int] | None:
    """Of what was shown."""
    from isthmus.images.open import size_of

    return size_of(shown) if isinstance(shown, Path) else shown


def _difference(
    before: Request, after: Request, device: Device, other: Device
) -> tuple[bool, int, tuple[int, int] | None, str, bool]:
    """Whether nothing differs but what a question and a way of loading can, and these."""
    numbers = {short: name for name, short in NAMES.items()}
    dtype = numbers.get(after.how.precision.name)
    how = replace(after.how, precision=before.how.precision)
    same = replace(after, text=before.text, picture=before.picture, cached=before.cached, how=how)
    runnable = same == before and other == device and dtype is not None and after.cached != "picture"
    return runnable, after.text - before.text, after.picture, dtype or "", after.cached == "prefix"
