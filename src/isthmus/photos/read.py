"""One file on its way to the model: opened once, hashed, and decoded only where its content is new."""

import hashlib
import io
import os
import stat
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import PictureError
from isthmus.images.open import MAX_BYTES, open_picture
from isthmus.images.sniff import HEAD, sniff
from isthmus.images.views import Fit, Picture, Views
from isthmus.photos import paths, video
from isthmus.photos.catalogue import Pending
from isthmus.photos.clips import VIDEO
from isthmus.photos.metadata.quicktime import content_identifier, is_video
from isthmus.photos.prints import AT_LEAST, Print, print_of
from isthmus.photos.store import Known, Outcome, Unread, Vanished
from isthmus.photos.told import Told, told_by, told_by_video

BIG_FILE = 64 << 20
"""Bytes. Only one file above this is held at a time, whatever the number of threads."""

BIG_PICTURE = 64_000_000
"""Pixels. Only one picture above this is decoded at a time: in full it can take a gigabyte."""


@dataclass(frozen=True)
class Decoded:
    """A file ready for the model; `known` becomes complete with the vector."""

    known: Known
    views: Views

    def seen(self, vector: NDArray[np.float32]) -> Outcome:
        """With what the model made of it [dim]."""
        known = self.known
        if np.isfinite(vector).all():
            return replace(known, vector=vector.astype(np.float16))
        why = "the model gave numbers that are not finite"
        return Unread(known.file, known.size, known.mtime_ns, "error", why)


@dataclass(frozen=True)
class Twin:
    """A file with the content of another that is on its way just now."""

    file: Pending
    hash: bytes
    size: int
    mtime_ns: int
    told: Told


class Reader:
    """Reads files for one model in many threads; each distinct content is decoded once.

    `seen(hash)` gives (width, height) of a photo that needs no vector; `printed(hash)` whether it needs no print, else
    it is decoded for that alone. `release(hash)` must follow once the outcome of a Decoded is saved.
    """

    def __init__(
        self, fit: Fit, seen: Callable[[bytes], tuple[int, int] | None], printed: Callable[[bytes], bool]
    ) -> None:
        self._fit, self._seen, self._printed = fit, seen, printed
        self._at_least = None if fit.at_least is None else max(fit.at_least, AT_LEAST)
        self._on_the_way: set[bytes] = set()
        self._turn = Lock()
        self._one_big_file, self._one_big_picture, self._one_video = Lock(), Lock(), Lock()

    def read(self, pending: Pending) -> Decoded | Twin | Outcome:
        """What became of a file. Nothing that is wrong with it raises."""
        outcome = self._opened(pending, self._look)
        if isinstance(outcome, Unread) and outcome.reason == "changing":
            outcome = self._opened(pending, self._look)
        return outcome

    def watch(self, pending: Pending) -> Decoded | Twin | Outcome:
        """What became of a video that is no photo's moving half: it is read as its picture."""
        return self._opened(pending, self._watch)

    def is_on_the_way(self, hash: bytes) -> bool:
        """A Decoded of that content was given out and is not released yet."""
        with self._turn:
            return hash in self._on_the_way

    def release(self, hash: bytes) -> None:
        with self._turn:
            self._on_the_way.discard(hash)

    def _watch(self, pending: Pending, file: io.FileIO) -> Decoded | Twin | Outcome:
        status = os.fstat(file.fileno())
        size, mtime_ns = status.st_size, status.st_mtime_ns
        hash = hash_of(file)
        if (after := os.fstat(file.fileno())).st_size != size or after.st_mtime_ns != mtime_ns:
            return Unread(pending.id, None, None, "changing", "it was written to while it was read")
        known = Known(pending.id, hash, size, mtime_ns, 0, 0, again=pending.again)
        try:
            with self._one_video:
                seen = video.look(file)
        except PictureError as error:
            why = error.why or error.what
            return Unread(pending.id, size, mtime_ns, error.reason, " ".join(why.split()), content_identifier(file))
        # No print: a frame of a video is no copy of a photo.
        shape = seen.picture.width, seen.picture.height
        told = told_by_video(pending.path, seen.tags)
        known = replace(known, width=shape[0], height=shape[1], told=told, print=Print())
        if self._seen(hash) is not None:
            return known
        with self._turn:
            if hash in self._on_the_way:
                return Twin(pending, hash, size, mtime_ns, told)
            self._on_the_way.add(hash)
        return Decoded(known, self._fit(seen.picture))

    def _opened(
        self, pending: Pending, look: Callable[[Pending, io.FileIO], Decoded | Twin | Outcome]
    ) -> Decoded | Twin | Outcome:
        try:
            with io.FileIO(os.open(pending.path, paths.READ)) as file:
                return look(pending, file)
        except (FileNotFoundError, NotADirectoryError):
            return Vanished(pending.id)
        except OSError as error:
            return Unread(pending.id, None, None, "unreadable", error.strerror or str(error))

    def _look(self, pending: Pending, file: io.FileIO) -> Decoded | Twin | Outcome:
        status = os.fstat(file.fileno())
        size, mtime_ns = status.st_size, status.st_mtime_ns
        if not stat.S_ISREG(status.st_mode):
            return Unread(pending.id, None, None, "not a regular file", "")
        if size > MAX_BYTES:
            return Unread(pending.id, size, mtime_ns, "too large", f"{size >> 20} MB, {MAX_BYTES >> 20} MB at most")
        with self._one_big_file if size > BIG_FILE else nullcontext():
            head = file.read(HEAD)
            try:
                sniff(head, "it")  # a video is left after its head, but for its identifier
            except PictureError as error:
                if error.reason == "not a picture" and is_video(head):
                    return Unread(pending.id, size, mtime_ns, VIDEO, "", content_identifier(file))
                return Unread(pending.id, size, mtime_ns, error.reason, error.why or error.what)
            data = head + file.readall()
            after = os.fstat(file.fileno())
            if (after.st_size, after.st_mtime_ns, len(data)) != (size, mtime_ns, size):
                return Unread(pending.id, None, None, "changing", "it was written to while it was read")
            # What is hashed is what is decoded: both come from this one copy of the bytes.
            hash = hashlib.sha256(data).digest()
            told = told_by(pending.path, data)
            known = Known(pending.id, hash, size, mtime_ns, 0, 0, told=told, again=pending.again)
            if (shape := self._seen(hash)) is not None:
                known = replace(known, width=shape[0], height=shape[1])
                return known if self._printed(hash) else replace(known, print=self._print(data))
            with self._turn:
                if hash in self._on_the_way:
                    return Twin(pending, hash, size, mtime_ns, told)
                self._on_the_way.add(hash)
            return self._decode(known, data)

    def _decode(self, known: Known, data: bytes) -> Decoded | Unread:
        try:
            picture = decode(data, self._at_least, self._one_big_picture)
            known = replace(known, width=picture.width, height=picture.height, print=print_of(picture))
            return Decoded(known, self._fit(picture))
        except PictureError as error:
            reason, detail = error.reason, error.why or error.what
        except Exception as error:  # noqa: BLE001 - a decoder's surprise is one file's trouble and is listed as such
            reason, detail = "error", f"{type(error).__name__}: {error}"
        self.release(known.hash)
        return Unread(known.file, known.size, known.mtime_ns, reason, " ".join(detail.split()))

    def _print(self, data: bytes) -> Print:
        """Of a photo that was decoded before; the software that cannot any more is not asked at each run."""
        try:
            return print_of(decode(data, self._at_least, self._one_big_picture))
        except Exception:  # noqa: BLE001 - as in _decode; the photo itself is known
            return Print()


def hash_of(file: io.FileIO) -> bytes:
    """SHA-256 of all of a file, whose bytes are not held."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()


def decode(data: bytes, at_least: int | None, one_big: Lock) -> Picture:
    """Upright; of the shorter side at least so many pixels are kept (None: all). Of pictures above BIG_PICTURE one at a
    time, whoever holds `one_big`. Raises PictureError."""
    try:
        return open_picture(data, at_least=at_least, max_pixels=BIG_PICTURE)
    except PictureError as error:
        if error.reason != "too large":
            raise
    with one_big:
        return open_picture(data, at_least=at_least)
