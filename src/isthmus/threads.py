"""How torch uses this machine: threads for a while, and memory that is kept instead of given back."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """torch computes on `count` threads inside, and on as many as before outside, also after an error."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_memory() -> None:
    """Lets the C allocator keep what tensors free, for the rest of the process. Linux with glibc; elsewhere nothing.

    By default each larger tensor is mapped anew and given back, so that every step of training touches fresh pages one
    by one; on virtual machines that can take longer than the arithmetic. Peak memory stays the same.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library, which has its own way
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    mallopt(mmap_threshold, 32 << 20)  # the most glibc takes
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 256 << 20)
