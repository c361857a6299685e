"""Pictures with writing, in fonts that are here."""

from itertools import groupby
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from isthmus.errors import MissingPart
from isthmus.photos.sheet import FOLDERS, WIDE


def write(
    path: Path,
    *lines: str,
    size: tuple[int, int] = (900, 600),
    letters: int = 40,
    paper: str = "white",
    turn: int = 0,
) -> Path:
    """Black on `paper`, in lines from the top left; `turn` by so many quarters, as a camera held so does, with the EXIF
    orientation that says so."""
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    for at, line in enumerate(lines):
        x = 60.0
        for latin, run in groupby(line, str.isascii):  # the fonts for Chinese may lack Latin letters
            text, face = "".join(run), font(letters, latin=latin)
            draw.text((x, 60 + at * 2 * letters + letters), text, "black", face, anchor="ls")
            x += face.getlength(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if turn:
        exif[274] = {1: 6, 2: 3, 3: 8}[turn]
        image = image.rotate(90 * turn, expand=True)
    image.save(path, exif=exif)
    return path


def font(size: int, latin: bool = True) -> ImageFont.FreeTypeFont:
    if latin:
        own = ImageFont.load_default(size)
        assert isinstance(own, ImageFont.FreeTypeFont)
        return own
    for folder in FOLDERS:
        for path in sorted(folder.expanduser().rglob("*.[to]t[fc]")):
            if path.name.lower().startswith(tuple(start.lower() for start in WIDE)):
                return ImageFont.truetype(path, size)
    pytest.skip(str(MissingPart("no font here has Chinese", todo="apt-get install fonts-droid-fallback")))
