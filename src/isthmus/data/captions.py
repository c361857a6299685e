"""A folder of pictures with their captions: in tables, in files beside them, or inside the pictures."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from isthmus.data.conversations import Conversations
from isthmus.data.example import Example, Examples, named
from isthmus.data.picture_files import SUFFIXES
from isthmus.data.rows import USUAL, Columns, captioned
from isthmus.data.table import Table
from isthmus.data.xmp import embedded_description, sidecar_description
from isthmus.errors import InputError
from isthmus.messages import ImagePart

TABLES = (
    "metadata.csv", "metadata.tsv", "metadata.jsonl", "captions.csv", "captions.tsv", "captions.jsonl", "captions.txt",
)  # fmt: skip
"""Tables by their names, the first of a folder is read. metadata.*: the `datasets` library's "imagefolder"."""

BESIDE = (".txt", ".caption")


class CaptionFolder:
    """A folder and its subfolders, in the order of their names; hidden ones are not entered, links not followed.

    A table speaks for its folder and all below it. Elsewhere every picture is a record: its captions are the lines of
    `cat.txt` (or `cat.jpg.txt`) beside it, else the description of `cat.xmp` (`cat.jpg.xmp`), else that of the XMP
    inside it. A picture with none of these is a record that cannot be used.
    """

    def __init__(self, folder: Path, *, columns: Columns = USUAL) -> None:
        """Raises InputError where it is no folder, or has neither table nor picture."""
        self.name = folder.name or str(folder)
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}", todo="check the path")
        self._parts: list[Examples] = []
        for inside, files in walk(folder):
            if table := table_in(inside, files):
                self._parts.append(open_table(table, columns=columns))
            elif any(is_picture(name) for name in files):
                self._parts.append(_Beside(folder, inside, files))
        if not self._parts:
            raise InputError(
                f"{folder} holds no pictures", todo=f"give pictures with captions beside them, or {', '.join(TABLES)}"
            )
        self._ends: list[int] = []
        for part in self._parts:
            self._ends.append((self._ends[-1] if self._ends else 0) + len(part))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, at: int) -> Example:
        at = range(len(self))[at]
        which = bisect_right(self._ends, at)
        return self._parts[which][at - (self._ends[which - 1] if which else 0)]


def open_table(path: Path, *, folder: Path | None = None, columns: Columns = USUAL) -> Examples:
    """A table by its suffix: .jsonl a row a line, else with separators."""
    if path.suffix.lower() == ".jsonl":
        return Conversations(path, folder=folder, columns=columns)
    return Table(path, folder=folder, columns=columns)


def table_in(folder: Path, files: list[str]) -> Path | None:
    """The table that speaks for this folder, of these files in it."""
    there = {name.casefold(): name for name in files}
    return next((folder / there[name] for name in TABLES if name in there), None)


class _Beside:
    """The pictures of one folder, their captions beside or inside them."""

    def __init__(self, root: Path, folder: Path, files: list[str]) -> None:
        self.name, self._root, self._folder = folder.name, root, folder
        self._pictures = [name for name in files if is_picture(name)]
        self._there = {name.casefold(): name for name in files}

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, at: int) -> Example:
        name = self._pictures[at]
        path = self._folder / name
        place = str(path.relative_to(self._root))
        try:
            return captioned([ImagePart(path)], self._captions(path), place)
        except InputError as error:
            raise named(place, error) from None

    def _captions(self, path: Path) -> list[str]:
        if text := self._beside(path, *BESIDE):
            return _lines(text)
        if sidecar := self._beside(path, ".xmp"):
            return [sidecar_description(sidecar)]
        said = embedded_description(path)
        return [said] if said else []

    def _beside(self, path: Path, *suffixes: str) -> Path | None:
        for suffix in suffixes:
            for name in (path.stem + suffix, path.name + suffix):
                if found := self._there.get(name.casefold()):
                    return self._folder / found
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{path.name} cannot be read", why=error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8", why=str(error), todo="save it as UTF-8") from None


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders with their files, in the order of names. What is below a table is not entered."""
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        files = sorted(name for name in files if not name.startswith("."))
        if table_in(Path(folder), files):
            inside.clear()
        yield Path(folder), files


def is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES
