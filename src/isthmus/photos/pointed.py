"""A picture and where in it to look: a file, "a.jpg" or "a.jpg@left,top,right,bottom", or a photo of the library."""

import hashlib
import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from isthmus.errors import InputError
from isthmus.images.open import open_picture
from isthmus.images.sniff import HEAD
from isthmus.images.views import Box, Picture
from isthmus.photos import video
from isthmus.photos.regions import part_of
from isthmus.photos.source import NotThere, Source

if TYPE_CHECKING:
    from isthmus.photos.store import Library


ENOUGH = 1024
"""Pixels of the shorter side that are kept of a picture of which no part is asked for."""


class Shown(Protocol):
    """`box`: the part that is meant; None for all of the picture."""

    @property
    def box(self) -> Box | None: ...

    def open_with_hash(self) -> tuple[Picture, bytes]:
        """The picture, or the part that is pointed at, and the SHA-256 of the whole file. Raises InputError,
        PictureError."""


@dataclass(frozen=True)
class Pointed:
    """`box`: in pixels of the upright picture; None for all of it."""

    path: Path
    box: Box | None = None

    @classmethod
    def read(cls, text: str) -> "Pointed":
        """Raises InputError."""
        path, at, box = text.rpartition("@")
        if not at or Path(text).exists():
            return cls(Path(text))
        try:
            left, top, right, bottom = (float(edge) for edge in box.split(","))
        except ValueError:
            return cls(Path(text))  # a name with an @ in it, of a file that is not there
        if not (0 <= left < right < math.inf and 0 <= top < bottom < math.inf):
            raise InputError(f"{box} is no box", why="it has no inside", todo="give pixels: left,top,right,bottom")
        return cls(Path(path), Box(left, top, right, bottom))

    def open_with_hash(self) -> tuple[Picture, bytes]:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            why = error.strerror or str(error)
            raise InputError(f"{self.path} cannot be read", why=why, todo="check the path") from None
        picture = video.look(BytesIO(data)).picture if video.is_one(data[:HEAD]) else open_picture(data)
        if self.box is not None:
            box, width, height = self.box, picture.width, picture.height
            if box.left >= width or box.top >= height:
                why = f"it is {width}x{height}"
                raise InputError(f"the box lies outside of {self.path}", why=why, todo="check it")
            picture = part_of(picture, Box(box.left, box.top, min(box.right, width), min(box.bottom, height)))
        return picture, hashlib.sha256(data).digest()


@dataclass(frozen=True)
class Given:
    """A picture's file that was handed over, as a whole."""

    data: bytes
    box: None = None

    def open_with_hash(self) -> tuple[Picture, bytes]:
        # More pixels than any model looks at would only cost memory.
        return open_picture(self.data, at_least=ENOUGH), hashlib.sha256(self.data).digest()


@dataclass(frozen=True)
class PhotoPart:
    """A photo of the library, from whichever of its files is there. `box`: in shares of its sides, 0 to 1."""

    library: "Library"
    photo: int
    box: Box | None = None

    def open_with_hash(self) -> tuple[Picture, bytes]:
        rows = self.library.query("SELECT hash FROM photos WHERE id = ?", (self.photo,))
        if not rows:
            raise InputError(f"there is no photo {self.photo}", todo="search again")
        try:
            picture = Source(self.library).picture(self.photo, None)
        except NotThere as error:
            raise InputError(
                f"photo {self.photo} cannot be read now", why=error.reason, todo="check the drive it is on"
            ) from None
        if self.box is not None:
            width, height = picture.width, picture.height
            box = self.box
            picture = part_of(picture, Box(box.left * width, box.top * height, box.right * width, box.bottom * height))
        return picture, rows[0][0]
