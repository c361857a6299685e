"""Several things timed side by side, in turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def times(works: Mapping[int, Callable[[], Any]], repeats: int, seed: int) -> dict[int, float]:
    """Seconds of this thread on the processor, the median of `repeats` after one to warm up; in turns, in an order
    shuffled anew each time, so that whatever slows the machine meets all alike."""
    random = np.random.default_rng(seed)
    taken: dict[int, list[float]] = {key: [] for key in works}
    for at in range(repeats + 1):
        for key in random.permutation(list(works)).tolist():
            start = time.thread_time()
            works[key]()
            if at:
                taken[key].append(time.thread_time() - start)
    return {key: statistics.median(each) for key, each in taken.items()}
