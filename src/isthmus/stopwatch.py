"""Where an answer's time goes: the parts of the way to the first token, timed where they happen.

`with part("encoder"):` around the work costs less than a microsecond while nobody watches. Whoever wants to know puts
`with watching(Watch())` around the asking. Time within an inner part is the inner part's alone, so parts add up.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

Part: TypeAlias = Literal[
    "queue", "decode", "preprocess", "send", "wait", "encoder", "connector", "prompt", "splice", "prefill", "sample"
]
PARTS: tuple[Part, ...] = get_args(Part)
"""In the order in which an answer begins: waiting for others; files to pixels, and their content keys; pixels through
the Fit, or into a request; of a server, until it answers at all, and from there to its first text; the encoder; the
connector; template and tokens; embeddings put together, cache looked up; the language model over the prompt; choosing
the first token and making it text."""


@dataclass(frozen=True)
class Moment:
    """Seconds on the clock of the wall and of all this process's threads; where work runs behind them on a GPU, a
    recorded event of its stream."""

    wall: float
    cpu: float
    event: Any = None


class Watch:
    """Times the parts of one answer up to its first text. For one thread at a time.

    `device`: a CUDA device whose work is timed by its own events, with one synchronisation when the times are read.
    """

    def __init__(self, device: Any = None) -> None:
        self.open = True
        """Set to False at the first text: what comes later is no part of the way there."""
        self._device = device
        self._spans: list[tuple[Part, int | None, Moment, Moment]] = []
        """Part, place of the part around it, start, end; in the order in which they began."""
        self._around: list[int] = []
        self._added: list[tuple[Part, float]] = []

    def now(self) -> Moment:
        event = None
        if self._device is not None:
            import torch

            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self._device))
        return Moment(time.perf_counter(), time.process_time(), event)

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        if not self.open:
            yield
            return
        at, start = len(self._spans), self.now()
        self._spans.append((name, self._around[-1] if self._around else None, start, start))
        self._around.append(at)
        try:
            yield
        finally:
            self._around.pop()
            self._spans[at] = (*self._spans[at][:3], self.now())

    def add(self, name: Part, seconds: float) -> None:
        """Time of the wall that was measured elsewhere."""
        if self.open:
            self._added.append((name, seconds))

    @property
    def seconds(self) -> dict[Part, float]:
        """Of the wall (or the GPU), by part."""
        found = self._sums([self.between(start, end) for _, _, start, end in self._spans])
        for name, seconds in self._added:
            found[name] = found.get(name, 0.0) + seconds
        return found

    @property
    def cpu(self) -> dict[Part, float]:
        """Of this process's threads, by part."""
        return self._sums([end.cpu - start.cpu for _, _, start, end in self._spans])

    def between(self, start: Moment, end: Moment) -> float:
        """Seconds of the wall, or of the GPU where both were recorded there."""
        if start.event is None or end.event is None:
            return end.wall - start.wall
        end.event.synchronize()
        return float(start.event.elapsed_time(end.event)) / 1000

    def _sums(self, taken: list[float]) -> dict[Part, float]:
        """Each second to the innermost part it was spent in."""
        found: dict[Part, float] = {}
        for (name, around, _, _), seconds in zip(self._spans, taken, strict=True):
            found[name] = found.get(name, 0.0) + seconds
            if around is not None:
                outer = self._spans[around][0]
                found[outer] = found.get(outer, 0.0) - seconds
        return found


_watch: ContextVar[Watch | None] = ContextVar("isthmus watch", default=None)
_NOBODY = nullcontext()


@contextmanager
def watching(watch: Watch | None) -> Iterator[None]:
    """What is asked inside, in this thread or task, is timed by `watch`."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def current() -> Watch | None:
    """Who watches; for handing the work to another thread."""
    return _watch.get()


def part(name: Part) -> AbstractContextManager[None]:
    """Around the work of one part."""
    watch = _watch.get()
    return _NOBODY if watch is None else watch.part(name)
