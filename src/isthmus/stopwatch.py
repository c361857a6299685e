"""Where an answer's time goes: the parts of the way to the first token, timed where they happen.

`with part("encoder"):` around the work costs less than a microsecond while nobody watches. Whoever wants to know puts
`with watching(Watch())` around the asking. Time within an inner part is the inner part's alone, so parts add up.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Literal, TypeAlias

Part: TypeAlias = Literal[
    "queue", "decode", "preprocess", "encoder", "connector", "prompt", "splice", "prefill", "sample"
]
PARTS: tuple[Part, ...] = (
    "queue", "decode", "preprocess", "encoder", "connector", "prompt", "splice", "prefill", "sample",
)  # fmt: skip
"""In the order in which an answer begins: waiting for others; files to pixels, and their content keys; pixels through
the Fit; the encoder; the connector; template and tokens; embeddings put together, cache looked up; the language model
over the prompt; choosing the first token and making it text."""


class Watch:
    """Seconds by part, of one answer, up to its first text. For one thread at a time.

    `clock`: seconds of any kind. `settle` is called at the edges of each part, where a device works behind the clock.
    """

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, settle: Callable[[], None] | None = None
    ) -> None:
        self.seconds: dict[Part, float] = {}
        self.open = True
        """Set to False at the first text: what comes later is no part of the way there."""
        self._clock, self._settle = clock, settle
        self._inner: list[float] = []
        """Seconds of the parts within each part that is under way."""

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        if not self.open:
            yield
            return
        started = self._now()
        self._inner.append(0.0)
        try:
            yield
        finally:
            taken = self._now() - started
            inner = self._inner.pop()
            if self._inner:
                self._inner[-1] += taken
            self.add(name, taken - inner)

    def add(self, name: Part, seconds: float) -> None:
        """Time that was measured elsewhere."""
        if self.open:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _now(self) -> float:
        if self._settle is not None:
            self._settle()
        return self._clock()


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
