"""Where the pictures of a record are: names as people's files have them, made paths that exist."""

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from isthmus.errors import InputError
from isthmus.messages import ImagePart, parse

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)
"""Of files that are taken for pictures, in lower case. Whether they are is seen when they are opened."""


def picture(value: Any, folder: Path) -> ImagePart:
    """What stands in a record for a picture: a file's name (from `folder`), its bytes, a data URI, or the
    {"bytes", "path"} of the `datasets` library. Raises InputError for anything else; a path need not exist."""
    match value:
        case bytes() if value:
            return ImagePart(value)
        case {"bytes": bytes(content)} if content:
            return ImagePart(content)
        case {"path": str(name)} if name:
            return picture(name, folder)
        case str() if value.startswith("data:"):
            (message,) = parse([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": value}}]}])
            return message.pictures[0]
        case str() if value.startswith(("http://", "https://")):
            raise InputError(
                f"the picture is an address, {value[:60]}",
                why="nothing is fetched while reading",
                todo="fetch the pictures first and name the files",
            )
        case str() if value.strip():
            return ImagePart(existing(folder / value.strip()))
        case None | "" | b"" | {"bytes": None | b"", "path": None | ""}:
            raise InputError("there is no picture", why="its place is empty")
    raise InputError(f"a picture cannot be read from {type(value).__name__}", todo="give a file's name or its bytes")


def existing(path: Path) -> Path:
    r"""`path`, or, where that is nothing, the file it must mean: written with \ on Windows, or in another case.

    Where nothing fits, `path` itself: whoever opens it says that it is missing.
    """
    if path.exists():
        return path
    path = Path(str(path).replace("\\", "/"))
    return path if path.exists() else _of_another_case(path) or path


def _of_another_case(path: Path) -> Path | None:
    name = _listing(path.parent).get(path.name.casefold())
    return path.parent / name if name else None


@lru_cache(maxsize=64)
def _listing(folder: Path) -> dict[str, str]:
    """Names in a folder by their folded case; one that stands twice so is nobody's."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  names only: folders of a million files are usual
    except OSError:
        return {}  # no such folder: nothing is in it
    found: dict[str, str] = {}
    for name in names:
        key = name.casefold()
        found[key] = "" if key in found else name
    return found


def folder_with(names: Sequence[str], folders: Iterable[Path], what: str) -> tuple[Path, str]:
    """The first folder that has a file of one of these names, and the name. Raises InputError with where it looked."""
    tried = list(dict.fromkeys(folders))
    for folder in tried:
        for name in names:
            if existing(folder / name).is_file():
                return folder, name
    raise InputError(
        f"the pictures of {what} are not found",
        why=f"no {names[0]} in {', '.join(map(str, tried))}" if names else "it names none",
        todo="say which folder they are in",
    )
