"""What a recipe file may say, checked before anything runs."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from isthmus.errors import InputError

SAID = {str: "a text", int: "a whole number", float: "a number"}
LIMITS = {
    **dict.fromkeys(("steps", "batch", "dim", "held_out"), (1, math.inf)),
    **dict.fromkeys(("dropout", "keywords"), (0, 0.99)),
    **dict.fromkeys(("rate", "scale"), (1e-9, 100)),
}
SOURCES = ("stamps", "clipart", "emoji")


@dataclass(frozen=True)
class SourceShare:
    """`share` of a batch (relative to the others'); `views`: augmented versions made of each picture."""

    share: float
    views: int


@dataclass(frozen=True)
class EmbedderRecipe:
    """The heads of the default embedder; recipes/embedder.yaml says what each field means."""

    seed: int
    encoder: str
    text_encoder: str
    held_out: int
    sources: dict[str, SourceShare]
    openmoji: str | None
    dim: int
    steps: int
    batch: int
    rate: float
    weight_decay: float
    dropout: float
    keywords: float
    scale: float
    prior_training: float
    prior: float
    centre: float


def read_recipe(path: Path, *, seed: int | None = None) -> EmbedderRecipe:
    """The recipe in `path`; `seed` replaces its own. Raises InputError with the key at fault."""
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}", why=error.strerror or "", todo="recipes are in recipes/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML", why=str(error)) from None
    if not isinstance(read, dict):
        raise InputError(f"{path} is no recipe", why="it holds no keys")
    wanted = [field.name for field in fields(EmbedderRecipe)]
    for unknown in set(read) - set(wanted):
        raise InputError(f"{path} is no recipe", why=f"unknown key {unknown}", todo=f"keys are {', '.join(wanted)}")
    for missing in set(wanted) - set(read):
        raise InputError(f"{path} is no recipe", why=f"{missing} is missing", todo="compare recipes/embedder.yaml")
    values = {name: _typed(path, name, read[name]) for name in wanted}
    if seed is not None:
        values["seed"] = seed
    return EmbedderRecipe(**values)


def _typed(path: Path, name: str, value: Any) -> Any:
    if name == "sources":
        _require(path, isinstance(value, dict) and bool(value), "sources names none")
        _require(path, not (set(value) - set(SOURCES)), f"sources are {', '.join(SOURCES)}")
        try:
            return {key: SourceShare(float(entry["share"]), int(entry["views"])) for key, entry in value.items()}
        except (TypeError, KeyError, ValueError):
            raise InputError(f"{path}: each source needs share and views") from None
    kind = get_type_hints(EmbedderRecipe)[name]
    if name == "openmoji":
        _require(path, value is None or isinstance(value, str), f"{name} is {value!r}, not a folder")
        return value
    numbers = (int, float) if kind is float else kind
    _require(path, isinstance(value, numbers) and not isinstance(value, bool), f"{name} is {value!r}, not {SAID[kind]}")
    if kind is not str:
        least, most = LIMITS.get(name, (0, math.inf))
        _require(path, least <= value <= most, f"{name} is {value}, not {least} to {most}")
    return kind(value)


def _require(path: Path, holds: bool, why: str) -> None:
    if not holds:
        raise InputError(f"{path} is no recipe", why=why, todo="compare recipes/embedder.yaml")
