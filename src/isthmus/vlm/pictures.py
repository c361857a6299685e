"""Pictures as messages carry them: opened once, and known by what they show."""

import hashlib
from dataclasses import dataclass
from typing import Any

from isthmus.images.open import picture_of
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
    picture = picture_of(source, at_least=fit.at_least)
    return Known(picture, content_key(picture, fit))


def content_key(picture: Picture, fit: Fit) -> str:
    """Hex hash over all that the encoder's input depends on: pixels, sizes and Fit; never over a path or a time."""
    shape = (fit.fingerprint, picture.image.mode, picture.image.size, picture.width, picture.height)
    digest = hashlib.sha256(repr((*shape, picture.reduced, picture.inset)).encode())
    digest.update(picture.image.tobytes())
    return digest.hexdigest()
