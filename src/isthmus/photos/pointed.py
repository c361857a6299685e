"""A picture in a file, and where in it to look: "a.jpg" or "a.jpg@left,top,right,bottom"."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import InputError
from isthmus.images.open import open_picture
from isthmus.images.views import Box, Picture
from isthmus.photos.regions import part_of


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

    def open(self) -> Picture:
        """The picture, or the part that is pointed at. Raises InputError, PictureError."""
        return self.open_with_hash()[0]

    def open_with_hash(self) -> tuple[Picture, bytes]:
        """And the SHA-256 of the whole file. Raises InputError, PictureError."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            why = error.strerror or str(error)
            raise InputError(f"{self.path} cannot be read", why=why, todo="check the path") from None
        picture = open_picture(data)
        if self.box is not None:
            box, width, height = self.box, picture.width, picture.height
            if box.left >= width or box.top >= height:
                why = f"it is {width}x{height}"
                raise InputError(f"the box lies outside of {self.path}", why=why, todo="check it")
            picture = part_of(picture, Box(box.left, box.top, min(box.right, width), min(box.bottom, height)))
        return picture, hashlib.sha256(data).digest()
