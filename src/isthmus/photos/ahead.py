"""Work on many things in threads: results in order, a bounded number in hand, stopped at any moment."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    work: Callable[[T], R], over: Iterable[T], threads: int, stop: Callable[[], bool], *, in_hand: int | None = None
) -> Iterator[R]:
    """`work` of each, in order. `in_hand`: how many may be begun and not yet taken (None: one more than threads, so
    that none waits while a result is used). Once `stop` says so, those being worked on still come, and no others.
    """
    begun: deque[Future[R]] = deque()
    source = iter(over)
    most = in_hand or threads + 1
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            while True:
                while len(begun) < most and not stop():
                    try:
                        begun.append(pool.submit(work, next(source)))
                    except StopIteration:
                        break
                if not begun:
                    return
                future = begun.popleft()
                if stop() and future.cancel():
                    continue
                yield future.result()
        finally:
            for future in begun:
                future.cancel()
