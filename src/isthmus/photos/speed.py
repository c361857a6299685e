"""How many threads make indexing fast. (How exact it computes is in `isthmus/precision.py`.)"""

import os
from contextlib import AbstractContextManager

from isthmus.threads import torch_threads


def indexing_threads() -> AbstractContextManager[None]:
    """Leave half of the processors to the threads that decode.

    A model's threads wait for each other at every layer, spinning; where decoding keeps them apart, one that works
    alone was twice as fast as two on two processors.
    """
    return torch_threads(max(1, (os.cpu_count() or 1) // 2))
