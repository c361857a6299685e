"""Whose a folder of features is: it says so itself, and is refused for others."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from isthmus.checkpoints.cache import cache_folder, written_whole
from isthmus.errors import CorruptPart, FitMismatch, InputError
from isthmus.training.feature_cache.records import Layout

LAYOUT = "features.json"


def default_folder() -> Path:
    """Where `open` makes a folder for each encoder."""
    return cache_folder() / "features"


def folder_name(layout: Layout) -> str:
    """Of features of that layout, in the default folder."""
    whole = json.dumps(asdict(layout), sort_keys=True)
    return f"{layout.encoder}-{layout.fit}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def claim(folder: Path, layout: Layout) -> None:
    """Makes the folder, or sees that it is one for these features. Raises as `FeatureCache.open`."""
    there = read_layout(folder)
    if there is None:
        others = _others(folder)
        there = read_layout(folder)  # perhaps another process has made it meanwhile
        if there is None and others:
            raise InputError(
                f"{folder} is no feature cache", why=f"it holds {others[0]}", todo="name an empty or a new folder"
            )
    if there is None:
        with written_whole(folder / LAYOUT) as temporary:
            temporary.write_text(json.dumps(asdict(layout), indent=1) + "\n", encoding="utf-8")
    elif there.fit != layout.fit:
        raise FitMismatch(
            f"the features in {folder} were made with the Fit {there.fit}",
            why=f"this encoder's is {layout.fit}",
            todo="name another folder",
        )
    elif there.encoder != layout.encoder:
        raise InputError(
            f"the features in {folder} were made by the encoder {there.encoder}",
            why=f"this one is {layout.encoder}",
            todo="name another folder",
        )
    elif there != layout:
        differing = [name for name, value in asdict(layout).items() if value != getattr(there, name)]
        raise InputError(
            f"the features in {folder} are others",
            why=", ".join(f"{name} {getattr(there, name)}, not {getattr(layout, name)}" for name in differing),
            todo="name another folder, or ask for the same dtype",
        )


def read_layout(folder: Path) -> Layout | None:
    """What the folder says of its features; None where it says nothing. Raises CorruptPart."""
    path = folder / LAYOUT
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        version = told["version"]
        if version == Layout.version:
            return Layout(**told)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptPart(f"{path} cannot be read", why=str(error), todo="delete that folder") from None
    why = f"they are of version {version}, this one makes version {Layout.version}"
    raise CorruptPart(f"{folder} holds features of another Isthmus", why=why, todo="delete it, or name another folder")


def _others(folder: Path) -> list[str]:
    """What a folder holds, but for what is just being written there."""
    try:
        return sorted(each.name for each in folder.iterdir() if each.suffix != ".part" and each.name != LAYOUT)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{folder} cannot be a feature cache", why=error.strerror or str(error)) from None
