"""By what a picture's features are found again: the content of its file, or of its pixels where it comes opened."""

import hashlib
import os
import stat
import time
from pathlib import Path
from typing import Any

from isthmus.errors import PictureError
from isthmus.images.open import MAX_BYTES, open_picture
from isthmus.images.views import Fit, Picture
from isthmus.training.feature_cache.shards import Shards
from isthmus.vlm.pictures import Known, known

SETTLED = 2_000_000_000
"""Nanoseconds that a file has been left alone before its hash is remembered: within a tick of the file system's clock,
of 2 s at most, a second change would leave no trace."""


class Files:
    """Which content files have: a file in a state that was seen before, in this run or another, is not read again.

    A state is path, size, times and inode; the change time cannot be set back by hand.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self.new: dict[bytes, bytes] = {}
        """What was found out and is not written yet: state to content."""

    def content(self, path: Path) -> bytes:
        """SHA-256 of the file. Raises PictureError where it cannot be a picture that is read."""
        try:
            before = path.stat()
            if not stat.S_ISREG(before.st_mode) or before.st_size > MAX_BYTES:
                open_picture(path)  # says why not
            state = _state(path, before)
            if (content := self.new.get(state) or self._shards.content(state)) is not None:
                return content
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
                after = os.fstat(file.fileno())
        except (OSError, ValueError):  # ValueError: a null byte
            open_picture(path)  # says what is wrong
            raise
        if _state(path, after) == state and time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > SETTLED:
            self.new[state] = content
        return content


class Source:
    """A picture as a caller gave it. key [32 bytes]: of its content."""

    def __init__(self, given: Any, fit: Fit, files: Files) -> None:
        """Raises as `images.open.picture_of`."""
        self._fit = fit
        self._given: Path | bytes | Known
        match given:
            case str() | Path():
                self._given = given if isinstance(given, Path) else Path(given)
                self.key = files.content(self._given)
            case bytes():
                self._given = given
                self.key = hashlib.sha256(given).digest()
            case _:
                self._given = known(given, fit)
                self.key = bytes.fromhex(self._given.key)

    def open(self) -> tuple[bytes, Picture]:
        """The key of what is opened, for a file may have changed since it was hashed; and the picture.

        Raises as `images.open.open_picture`.
        """
        match self._given:
            case Known(picture=picture):
                return self.key, picture
            case bytes() as data:
                return self.key, open_picture(data, at_least=self._fit.at_least)
            case path:
                return self._open_file(path)

    def _open_file(self, path: Path) -> tuple[bytes, Picture]:
        try:
            data = path.read_bytes()
        except OSError:
            open_picture(path)  # says what is wrong
            raise
        try:
            return hashlib.sha256(data).digest(), open_picture(data, at_least=self._fit.at_least)
        except PictureError as error:
            raise PictureError(error.reason, f"{path}: {error.what}", why=error.why, todo=error.todo) from None


def _state(path: Path, now: os.stat_result) -> bytes:
    name = os.fsencode(path)
    place = name if name.startswith(b"/") else os.fsencode(Path.cwd()) + b"/" + name
    facts = (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_dev, now.st_ino)
    return hashlib.sha256(b"%b\0%d\0%d\0%d\0%d\0%d" % (place, *facts)).digest()
