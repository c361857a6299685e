"""Maker, model and lens of a camera as people say them."""

import re

from isthmus.photos.metadata.text import clean
from isthmus.photos.query.cameras import MAKERS

# What companies put behind their names: "NIKON CORPORATION", "OLYMPUS IMAGING CORP.", "CASIO COMPUTER CO.,LTD."
_COMPANY = re.compile(
    r"[\s,.]+(?:corporation|corp|co|ltd|inc|gmbh|ag|company|imaging|optical|electronics|technology|technologies"
    r"|computer|camera|techwin|photo film|communications|mobile)[\s,.]*$",
    re.IGNORECASE,
)
_OTHER_NAMES = {"eastman kodak": "Kodak", "fuji photo film": "Fujifilm", "hewlett-packard": "HP", "oneplus": "OnePlus"}
_NOTHING = re.compile(r"[\W_]*|(?:unknown|none|n/a|default|----?)|0(?:\.0)? ?mm f/?0(?:\.0)?", re.IGNORECASE)


def camera(make: str, model: str) -> tuple[str, str]:
    """(maker, model): the maker without the company's legal form, spelled as in searches; the model without the maker.

    >>> camera("NIKON CORPORATION", "NIKON D90"), camera("Canon", "Canon EOS 5D Mark IV"), camera("Apple", "iPhone X")
    (('Nikon', 'D90'), ('Canon', 'EOS 5D Mark IV'), ('Apple', 'iPhone X'))
    """
    long, model = _named(make), _named(model)
    maker = _OTHER_NAMES.get(long.casefold(), long)
    while (shorter := _COMPANY.sub("", maker)) and shorter != maker:
        maker = shorter
        maker = _OTHER_NAMES.get(maker.casefold(), maker)
    maker = MAKERS.get(maker.casefold(), maker)
    for name in sorted({long, maker}, key=len, reverse=True):
        rest = model[len(name) :]
        if name and model.casefold().startswith(name.casefold()) and re.match(r"[\s_-]+\S", rest):
            model = rest.lstrip(" _-")
    return maker, model


def lens(model: str) -> str:
    """The lens's name; "" for what cameras write when they do not know it."""
    return _named(model)


def _named(text: str) -> str:
    text = clean(text)
    return "" if _NOTHING.fullmatch(text) else text
