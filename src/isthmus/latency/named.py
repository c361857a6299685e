"""Models by name: those whose configs come with the package, folders, config.json files, and the default models."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from isthmus.errors import InputError
from isthmus.latency.families import read_model
from isthmus.latency.model import Model

CONFIGS = Path(__file__).parent / "configs"
"""Only the fields that the arithmetic reads, as the models were published; "hub": the ids they stand for; "processor":
of preprocessor_config.json, where it decides how many tokens a picture has."""
PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def model_named(name: str) -> Model:
    """The model of that name: `llava-1.5-7b` or another of `names()`, the hub's id of one of them, a folder with
    config.json, such a file, or `default/vlm`. Nothing is fetched. Raises InputError, and as `resolve` for a default
    part that is not installed."""
    config, processor = _read(name)
    return read_model(name, config, processor)


def names() -> tuple[str, ...]:
    """Of the configs that come with the package."""
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.json")))


def _read(name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """config.json, and the picture preparation beside it (empty where there is none)."""
    known = name if name in names() else _hub_ids().get(name.lower())
    if known is not None:
        config = _json(CONFIGS / f"{known}.json")
        return config, config.get("processor", {})
    if name.startswith("default/"):
        from isthmus.checkpoints import resolve

        return resolve(name).config, {}
    path = Path(name)
    if path.is_dir():
        beside = [_json(path / each) for each in PROCESSORS if (path / each).is_file()]
        pictures = [each.get("image_processor", each) for each in beside]
        return _json(path / "config.json"), {key: value for each in reversed(pictures) for key, value in each.items()}
    if path.is_file():
        return _json(path), {}
    raise InputError(
        f"there is no model {name!r} here",
        why="neither a name that is known nor a folder or config.json",
        todo=f"known are {', '.join(names())}, default/vlm",
    )


@cache
def _hub_ids() -> Mapping[str, str]:
    return {each.lower(): known for known in names() for each in _json(CONFIGS / f"{known}.json")["hub"]}


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {path}", todo="name a folder that holds a config.json") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read", why=str(error)) from None
    if not isinstance(value, dict):
        raise InputError(f"{path} is no config", why="it holds no JSON object")
    return value
