"""Fits as JSON text: what a checkpoint carries, so that whoever loads it prepares pictures the same way."""

import json
from dataclasses import asdict, fields
from typing import Any

from isthmus.errors import InputError
from isthmus.images.fits import Crop, Letterbox, Native, Squash
from isthmus.images.focus import Focus
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles

AnyFit = Crop | Squash | Letterbox | Tiles | Split | Native | Focus
CLASSES: dict[str, type[AnyFit]] = {c.__name__: c for c in (Crop, Squash, Letterbox, Tiles, Split, Native, Focus)}


def to_json(fit: AnyFit) -> str:
    """One line: the fit's name under "fit" and every field."""
    return json.dumps({"fit": type(fit).__name__, **asdict(fit)}, sort_keys=True)


def from_json(text: str) -> AnyFit:
    """The fit that `to_json` wrote, equal to it and of the same fingerprint. Raises InputError."""
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise InputError("a fit's settings are not JSON", why=str(error)) from None
    name = settings.pop("fit", None) if isinstance(settings, dict) else settings
    if not isinstance(name, str) or name not in CLASSES:
        raise InputError(f"no fit is named {name!r}", todo=f"known are {', '.join(CLASSES)}")
    made = CLASSES[name]
    known = {field.name for field in fields(made)}
    if set(settings) != known:
        odd = ", ".join(sorted(set(settings) ^ known))
        raise InputError(f"the settings of {made.__name__} do not match", why=f"missing or unknown: {odd}")
    try:
        return made(**{key: _tuples(value) for key, value in settings.items()})
    except TypeError as error:
        raise InputError(f"the settings of {made.__name__} are damaged", why=str(error)) from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
