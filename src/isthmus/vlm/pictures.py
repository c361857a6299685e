"""Pictures as messages carry them: opened once, and known by what they show."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from isthmus.errors import InputError
from isthmus.images.colour import eight_bits, on_white
from isthmus.images.open import open_picture
from isthmus.images.views import Fit, Picture


@dataclass(frozen=True)
class Known:
    """A picture on its way to a model of one Fit, with its content key: whoever passes it on need not hash it again."""

    picture: Picture
    key: str


def known(source: Any, fit: Fit) -> Known:
    """Any source that picture_of takes, or one that is known already. Raises as picture_of."""
    if isinstance(source, Known):
        return source
    picture = picture_of(source, fit)
    return Known(picture, content_key(picture, fit))


def picture_of(source: Any, fit: Fit) -> Picture:
    """A path, a file's bytes or an open file, a PIL image, or a Picture -> Picture, upright, sRGB, no alpha.

    Of a file no more pixels are decoded than `fit` can use. Raises PictureError; InputError for another kind of source.
    """
    match source:
        case Picture():
            return source
        case Image.Image():
            profile = source.info.get("icc_profile")
            upright = ImageOps.exif_transpose(source)
            image = on_white(eight_bits(upright), profile if isinstance(profile, bytes) else None)
            return Picture(image, *image.size)
        case str() | Path() | bytes():
            return open_picture(source, at_least=fit.at_least)
    raise InputError(
        f"a {type(source).__name__} is no picture", todo="give a path, the bytes of a file, a PIL image or a Picture"
    )


def content_key(picture: Picture, fit: Fit) -> str:
    """Hex hash over all that the encoder's input depends on: pixels, sizes and Fit; never over a path or a time."""
    shape = (fit.fingerprint, picture.image.mode, picture.image.size, picture.width, picture.height)
    digest = hashlib.sha256(repr((*shape, picture.reduced, picture.inset)).encode())
    digest.update(picture.image.tobytes())
    return digest.hexdigest()
