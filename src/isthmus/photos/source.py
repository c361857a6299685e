"""A photo's picture, from whichever of its files is there and still is that photo."""

import hashlib
import io
import os
import stat
from collections.abc import Sequence
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING

from isthmus.errors import PictureError
from isthmus.images.open import MAX_BYTES
from isthmus.images.sniff import HEAD
from isthmus.images.views import Picture
from isthmus.photos import paths, video
from isthmus.photos.read import BIG_FILE, decode, hash_of

if TYPE_CHECKING:
    from isthmus.photos.store import Library


class NotThere(Exception):
    """No file of the photo can be read just now. `reason`: a word or two for the report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Opener:
    """Opens photos in many threads, of very large files and pictures one at a time (see `read`). Needs no library."""

    def __init__(self) -> None:
        self._one_big_file, self._one_big_picture, self._one_video = Lock(), Lock(), Lock()

    def picture(self, hash: bytes, files: Sequence[bytes], at_least: int | None) -> Picture:
        """The content with this hash from the first of the files that has it, upright; of its shorter side at least so
        many pixels are kept (None: all). Raises NotThere."""
        reason = "missing"
        for path in files:
            try:
                return self._open(path, hash, at_least)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                reason = "unreadable"
            except PictureError as error:
                reason = error.reason
        raise NotThere(reason)

    def _open(self, path: bytes, hash: bytes, at_least: int | None) -> Picture:
        with io.FileIO(os.open(path, paths.READ)) as file:
            status = os.fstat(file.fileno())
            changed = PictureError("changed", "it is not what it was when it was indexed")
            if not stat.S_ISREG(status.st_mode):
                raise changed
            if video.is_one(file.read(HEAD)):
                if hash_of(file) != hash:
                    raise changed
                with self._one_video:
                    return video.look(file).picture
            if status.st_size > MAX_BYTES:
                raise changed
            file.seek(0)
            with self._one_big_file if status.st_size > BIG_FILE else nullcontext():
                data = file.readall()
                # What is read must be of the picture that was indexed, whatever lies at that path now.
                if hashlib.sha256(data).digest() != hash:
                    raise changed
                return decode(data, at_least, self._one_big_picture)


class Source:
    """The photos of a library, opened in many threads."""

    def __init__(self, library: "Library") -> None:
        self._library = library
        self._roots: dict[int, bytes] = dict(library.query("SELECT id, path FROM roots"))
        self._opener = Opener()

    def picture(self, photo: int, at_least: int | None) -> Picture:
        """As `Opener.picture`. Raises NotThere."""
        return self._opener.picture(*self.where(photo), at_least)

    def where(self, photo: int) -> tuple[bytes, list[bytes]]:
        """Its content's hash, and whole paths of its files."""
        hash = self._library.query("SELECT hash FROM photos WHERE id = ?", (photo,))[0][0]
        files = self._library.query(
            "SELECT root, path FROM files WHERE photo = ? AND gone_at IS NULL ORDER BY root, path", (photo,)
        )
        return hash, [paths.join(self._roots[root], path) for root, path in files]
