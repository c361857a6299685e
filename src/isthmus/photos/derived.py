"""What is derived from the library: values kept until it changes, and files that may be lost."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from isthmus.photos.store import Library

T = TypeVar("T")


class Kept(Generic[T]):
    """A value made of the library, until the library changes. The caller sees to threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._made: tuple[tuple[int, int], T] | None = None

    def get(self, make: Callable[[], T]) -> T:
        state = self._library.state()
        if self._made is None or self._made[0] != state:
            self._made = state, make()
        return self._made[1]


def keep_file(path: Path, data: bytes) -> bool:
    """Whole or not at all, its folder made; whether it was. A folder that cannot be written, or a full disk, only costs
    making it again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError:
        return False
    return True
