"""What a task on an event loop gives, read by a thread as a generator that any thread may close."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Lock, Thread, get_ident
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import finalize

T = TypeVar("T")
Work: TypeAlias = Callable[[Callable[[T], None]], Coroutine[Any, Any, None]]
"""Called with what takes each item."""


class Loop:
    """An event loop in a thread of its own, which begins with the first task and ends with the Loop."""

    def __init__(self, name: str, at_end: Callable[[], Awaitable[None]]) -> None:
        """`at_end` is run on the loop when nobody holds the Loop any more, or Python ends."""
        self._name, self._at_end = name, at_end
        self._lock = Lock()
        self._running: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._running is None:
                ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
                Thread(target=_run, args=(ready, self._at_end), name=self._name, daemon=True).start()
                self._running, stop = ready.result()
                finalize(self, self._running.call_soon_threadsafe, stop.set)
            return self._running


class Task(Generic[T]):
    """One piece of work on a loop, begun when its first item is asked for."""

    def __init__(self, loop: Loop) -> None:
        self.cancelled = False
        """Whether it was told to end before it had."""
        self._loop = loop
        self._lock = Lock()
        self._on: asyncio.AbstractEventLoop | None = None
        self._thread: int | None = None
        """Ident of the loop's."""
        self._task: asyncio.Task[None] | None = None
        self._items: SimpleQueue[T | None] = SimpleQueue()
        """None: no more."""
        self._ended = Event()

    def items(self, work: Work[T]) -> Generator[T, None, None]:
        """What `work` gives, then its exception if it fails. Ends early, without an error, when it is cancelled."""
        with self._lock:
            if self.cancelled:
                return
            self._on = self._loop.get()
            self._on.call_soon_threadsafe(self._begin, work)
        try:
            while (item := self._items.get()) is not None:
                yield item
        finally:
            self.cancel()  # where the reader goes, also by Ctrl-C
        assert self._task is not None
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error

    def cancel(self) -> None:
        """From any thread; the work is told, and ends soon."""
        with self._lock:
            if self._ended.is_set():
                return
            self.cancelled = True
            if self._on is not None:
                self._on.call_soon_threadsafe(self._cancel)

    def wait(self) -> None:
        """Until no work is done any more; not from the loop's own thread, which does it."""
        if self._on is not None and self._thread != get_ident():
            self._ended.wait()

    def _begin(self, work: Work[T]) -> None:
        self._thread = get_ident()
        self._task = asyncio.get_running_loop().create_task(work(self._items.put))
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        assert self._task is not None  # begun before, since the loop keeps the order
        self._task.cancel()

    def _end(self, _: object) -> None:
        self._ended.set()
        self._items.put(None)


class Feed(Generator[T, None, None]):
    """`items`, which read `task`. Closing it, or letting go of it, cancels the task.

    Unlike a generator's, `close` may be called while another thread waits for the next item: that wait then ends.
    """

    def __init__(self, items: Generator[T, None, None], task: Task[Any]) -> None:
        self._items, self._task = items, task

    def send(self, value: None) -> T:
        return self._items.send(value)

    def throw(self, error: Any, *rest: Any) -> T:
        return self._items.throw(error, *rest)

    def close(self) -> None:
        """The work has ended when this returns."""
        self._task.cancel()
        with suppress(ValueError):  # another thread is in it, and now comes to its end
            self._items.close()
        self._task.wait()

    def __del__(self) -> None:
        # Without waiting: what lets go of it may be the collection of garbage, in any thread and under any lock.
        self._task.cancel()


def _run(
    ready: "Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]", at_end: Callable[[], Awaitable[None]]
) -> None:
    async def until_stopped() -> None:
        stop = asyncio.Event()
        ready.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await at_end()

    asyncio.run(until_stopped())
