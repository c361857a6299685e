"""Small sources for tests: in memory, with records that cannot be used where they are told to be."""

import os
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from isthmus.data.example import Bad, Example
from isthmus.errors import InputError
from isthmus.messages import assistant


def picture_bytes(kind: str = "PNG", colour: tuple[int, int, int] = (200, 30, 30), **how: Any) -> bytes:
    """A picture file of 8 x 6 pixels."""
    stream = BytesIO()
    Image.new("RGB", (8, 6), colour).save(stream, kind, **how)
    return stream.getvalue()


def needs(package: str) -> Any:
    """The package; skips where it is not installed, except in CI, which must have it."""
    if os.environ.get("ISTHMUS_CI"):
        return __import__(package)
    return pytest.importorskip(package, reason=f"needs {package}, of the extra 'data'")


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


class Listed:
    """Examples "NAME 0", "NAME 1", ... of which those at `bad` cannot be used."""

    def __init__(self, name: str, size: int, bad: Collection[int] = ()) -> None:
        self.name, self.size, self.bad = name, size, bad

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, at: int) -> Example:
        if at in self.bad:
            raise InputError(f"{self.name} {at} is bad")
        return Example((assistant(f"{self.name} {at}"),), f"{self.name} {at}")


class Streamed:
    """The same, from front to back."""

    def __init__(self, name: str, size: int, bad: Collection[int] = ()) -> None:
        self.name, self._listed, self._at = name, Listed(name, size, bad), 0

    def __iter__(self) -> Iterator[Example | Bad]:
        while self._at < len(self._listed):
            self._at += 1
            try:
                record: Example | Bad = self._listed[self._at - 1]
            except InputError as error:
                record = Bad(f"{self.name} {self._at - 1}", error)
            yield record

    def state(self) -> dict[str, Any]:
        return {"at": self._at}

    def resume(self, state: dict[str, Any]) -> None:
        self._at = state["at"]
