"""How a lab runs: on one thread, with its time taken."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from isthmus.threads import torch_threads


def one_thread() -> AbstractContextManager[None]:
    """torch computes on one thread inside, and on as many as before outside.

    The labs' models are so small that a second thread waits more than it works, much more where others use the cores.
    """
    return torch_threads(1)


@dataclass
class Spent:
    """Seconds on the clock and of this process on the processor; filled in when the work ends."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Spent]:
    spent = Spent()
    wall, cpu = time.perf_counter(), time.process_time()
    yield spent
    spent.wall, spent.cpu = time.perf_counter() - wall, time.process_time() - cpu
