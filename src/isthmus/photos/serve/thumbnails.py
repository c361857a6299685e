"""Small pictures by content: made once from the original, kept as WebP under the library, the least used let go.

thumbnails/ab/cdef….webp          a tile
thumbnails/ab/cdef…-screen.webp   a full view
thumbnails/colours                the mean colour of each photo whose tile was ever made
"""

import io
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Literal

from PIL import Image

from isthmus.photos.derived import keep_file
from isthmus.photos.read import decode
from isthmus.photos.serve.colours import Colours

Size = Literal["tile", "screen"]

TILE = 320
"""Pixels of a tile's shorter side; rows are about 200 points high, and screens have up to two pixels a point."""

TILE_LONGEST = 4 * TILE
SCREEN = 1920
"""Pixels of a full view's longer side."""

SCREEN_AT_LEAST = 1440
"""Of its shorter side: a 12-megapixel JPEG is then decoded at half its scale, which takes a quarter of the time."""

QUALITY = {"tile": 76, "screen": 84}

KEEP = 2 << 30
"""Bytes that all kept pictures may take; a tile is about 20 kB, a full view 300 kB."""

AFTER_CLEARING = 0.9
"""Share of the limit that is left when the least used have gone, so that not every new one clears again."""

DAY = 86400


class Thumbnails:
    """Safe from any thread, and for several processes over one folder. Where the folder cannot be written, pictures
    are made each time."""

    def __init__(self, folder: Path, *, keep: int = KEEP, threads: int | None = None) -> None:
        self.folder, self.keep = folder, keep
        self.colours = Colours(folder / "colours")
        self._bytes: int | None = None
        self._turn, self._one_big = Lock(), Lock()
        # As many at once as there are processors: a request more only waits, and holds no decoded picture meanwhile.
        self._decoding = BoundedSemaphore(threads or os.cpu_count() or 1)
        self._making: dict[Path, Lock] = {}

    def get(self, hash: bytes, size: Size, original: Callable[[], bytes | None]) -> bytes | None:
        """WebP; None where it is not kept and there is no original to make it from. Raises PictureError."""
        path = self.path(hash, size)
        if (kept := self._read(path)) is not None:
            return kept
        with self._turn:
            making = self._making.setdefault(path, Lock())
        try:
            with making:  # two tiles of one photo are made once
                if (kept := self._read(path)) is not None:
                    return kept
                return self._make(hash, size, path, original)
        finally:
            with self._turn:
                self._making.pop(path, None)

    def path(self, hash: bytes, size: Size) -> Path:
        name = hash.hex()
        return self.folder / name[:2] / f"{name[2:]}{'' if size == 'tile' else '-' + size}.webp"

    def _read(self, path: Path) -> bytes | None:
        try:
            data = path.read_bytes()
        except OSError:
            return None
        # A power cut can leave a name without its contents: what is not whole is made again.
        if data[:4] != b"RIFF" or int.from_bytes(data[4:8], "little") + 8 != len(data):
            return None
        with suppress(OSError):
            now = time.time()
            if now - path.stat().st_mtime > DAY:
                os.utime(path, (now, now))  # used: it is not among the first to go
        return data

    def _make(self, hash: bytes, size: Size, path: Path, original: Callable[[], bytes | None]) -> bytes | None:
        with self._decoding:
            data = original()
            if data is None:
                return None
            small = self._shrink(data, size)
            if size == "tile":
                self.colours.add(hash, mean_colour(small))
            made = io.BytesIO()
            small.save(made, "WEBP", quality=QUALITY[size], method=4)
        self._keep(path, made.getvalue())
        return made.getvalue()

    def _shrink(self, data: bytes, size: Size) -> Image.Image:
        at_least = TILE if size == "tile" else SCREEN_AT_LEAST
        picture = decode(data, at_least, self._one_big)
        image = picture.image
        width, height = fitted(picture.width, picture.height, size)
        shape = min(width, image.width), min(height, image.height)
        return image if shape == image.size else image.resize(shape, Image.Resampling.LANCZOS, reducing_gap=3.0)

    def _keep(self, path: Path, data: bytes) -> None:
        """Whole or not at all. A folder that cannot be written, or a full disk, only costs making it again."""
        if not keep_file(path, data):
            return
        with self._turn:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._kept())
            else:
                self._bytes += len(data)
            if self._bytes > self.keep:
                self._clear()

    def _clear(self) -> None:
        """The least used go first."""
        kept = sorted(self._kept())
        total = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total <= AFTER_CLEARING * self.keep:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._bytes = total

    def _kept(self) -> list[tuple[float, int, Path]]:
        """When each was used, its bytes, and where it is."""
        found = []
        for path in self.folder.glob("??/*"):
            with suppress(OSError):  # another process was faster
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return found


def fitted(width: int, height: int, size: Size) -> tuple[int, int]:
    """A tile by its shorter side, a full view by its longer one; never larger than the picture."""
    shortest, longest = sorted((width, height))
    scale = min(1.0, SCREEN / longest)
    if size == "tile":
        scale = min(1.0, TILE / shortest, TILE_LONGEST / longest)
    return max(1, round(width * scale)), max(1, round(height * scale))


def mean_colour(image: Image.Image) -> int:
    """0xRRGGBB."""
    pixel = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    red, green, blue = (int(value) for value in pixel[:3])
    return red << 16 | green << 8 | blue
