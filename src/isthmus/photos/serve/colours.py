"""The mean colour of each photo that was ever shown: what its tile is painted with until the picture is there.

One file of records, SHA-256 of the photo and three bytes of colour. It is appended to, never rewritten: processes may
share it, and a record cut short by a power cut is left out.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

RECORD = 35
"""Bytes: 32 of the hash, and red, green, blue."""

UNKNOWN = -1

APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)


class Colours:
    """Hash to 0xRRGGBB. Safe from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = Lock()
        self._of: dict[bytes, int] = dict(_records(path))

    def add(self, hash: bytes, colour: int) -> None:
        """Remembered for this process, and on disk where that can be written."""
        with self._turn:
            if hash in self._of:
                return
            self._of[hash] = colour
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._path, APPEND, 0o600)
                try:
                    # What was cut short is filled up, so that the records after it stay where they should be.
                    torn = os.fstat(descriptor).st_size % RECORD
                    filling = bytes(RECORD - torn) if torn else b""
                    os.write(descriptor, filling + hash + colour.to_bytes(3, "big"))
                finally:
                    os.close(descriptor)

    def of(self, hashes: Iterable[bytes]) -> NDArray[np.int32]:
        """[N], UNKNOWN where it is not known."""
        return np.array([self._of.get(hash, UNKNOWN) for hash in hashes], np.int32)

    def since(self, count: int) -> list[tuple[bytes, int]]:
        """Those that came after the first `count`."""
        with self._turn:
            return list(islice(self._of.items(), count, None)) if count < len(self._of) else []


def _records(path: Path) -> Iterable[tuple[bytes, int]]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    for at in range(0, len(data) - RECORD + 1, RECORD):
        yield data[at : at + 32], int.from_bytes(data[at + 32 : at + RECORD], "big")
