"""Work on a loop, read by threads."""

import asyncio
import gc
import threading
from collections.abc import Callable
from weakref import ref

import pytest

from isthmus.backends.feed import Feed, Loop, Task


async def nothing() -> None:
    pass


async def count(give: Callable[[int], None]) -> None:
    for number in range(1, 4):
        give(number)


def feed(work: Callable[[Callable[[int], None]], object], loop: Loop | None = None) -> Feed[int]:
    task: Task[int] = Task(loop or Loop("test", nothing))
    return Feed(task.items(work), task)  # type: ignore[arg-type]


def test_what_is_given_is_read_and_then_what_was_raised() -> None:
    async def fail(give: Callable[[int], None]) -> None:
        give(1)
        raise LookupError("why")

    assert list(feed(count)) == [1, 2, 3]
    failing = feed(fail)
    assert next(failing) == 1
    with pytest.raises(LookupError, match="why"):
        next(failing)
    assert next(failing, None) is None


def test_the_loop_ends_with_its_last_reader() -> None:
    ended = threading.Event()

    async def at_end() -> None:
        ended.set()

    loop = Loop("a loop that ends", at_end)
    reading = feed(count, loop)
    held = ref(loop)
    del loop
    assert next(reading) == 1
    assert not ended.is_set()
    del reading
    gc.collect()
    assert held() is None
    assert ended.wait(30)


def test_work_is_over_when_close_returns() -> None:
    state: list[str] = []

    async def tidy(give: Callable[[int], None]) -> None:
        give(1)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            state.append("tidied")

    reading = feed(tidy)
    next(reading)
    reading.close()
    assert state == ["tidied"]
    reading.close()


def test_many_threads_may_close_one_feed_at_any_time() -> None:
    async def forever(give: Callable[[int], None]) -> None:
        while True:
            give(1)
            await asyncio.sleep(0)

    loop = Loop("test", nothing)
    for _ in range(50):
        reading = feed(forever, loop)
        threads = [threading.Thread(target=list, args=(reading,))]
        threads += [threading.Thread(target=reading.close) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
            assert not each.is_alive()
