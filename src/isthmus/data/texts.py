"""Texts without pictures: the paragraphs of .txt and .md files, to learn a domain's language from."""

import re
from array import array
from collections.abc import Iterator
from pathlib import Path

from isthmus.data.captions import walk
from isthmus.data.example import Example, RecordError
from isthmus.data.json_file import BOM
from isthmus.errors import InputError
from isthmus.messages import assistant

SUFFIXES = frozenset({".txt", ".md"})
SHORT, LONG = 200, 2000
"""Bytes: a shorter paragraph (a heading) goes together with the next, a longer one is parted."""
_ENDS = re.compile(rb"[.!?]\s|\n|\xe3\x80\x82")
"""Of sentences and lines; the last is the Chinese full stop."""


class Texts:
    """A file, or all of a folder and its subfolders, in the order of names; a record is one assistant's message.

    Paragraphs are parted by blank lines. Only their places are held; a text is read when it is asked for.
    """

    def __init__(self, path: Path) -> None:
        """Reads all once. Raises InputError where a file cannot be read, or nothing is in them."""
        self.name = path.name or str(path)
        self._root = path if path.is_dir() else path.parent
        self._files = _files(path)
        self._of, self._starts, self._sizes, self._lines = array("I"), array("Q"), array("Q"), array("I")
        for number, file in enumerate(self._files):
            try:
                for line, start, size in _records(file):
                    self._of.append(number)
                    self._starts.append(start)
                    self._sizes.append(size)
                    self._lines.append(line)
            except OSError as error:
                raise InputError(f"{file} cannot be read", why=error.strerror or str(error)) from None
        if not self._of:
            raise InputError(f"{path} holds no text", todo=f"give a file or a folder of {', '.join(sorted(SUFFIXES))}")

    def __len__(self) -> int:
        return len(self._of)

    def __getitem__(self, at: int) -> Example:
        at = range(len(self))[at]
        file = self._files[self._of[at]]
        place = f"{file.relative_to(self._root)}, line {self._lines[at]}"
        try:
            with file.open("rb") as opened:
                opened.seek(self._starts[at])
                text = opened.read(self._sizes[at]).decode("utf-8").strip()
        except OSError as error:
            raise InputError(f"{file} cannot be read", why=error.strerror or str(error)) from None
        except UnicodeDecodeError as error:
            raise RecordError(place, "it is not UTF-8", why=str(error), todo="save it as UTF-8") from None
        return Example((assistant(text.replace("\r\n", "\n")),), place)


def texts_in(folder: Path) -> bool:
    """Whether there are text files in a folder or below it."""
    return any(_is_text(name) for _, names in walk(folder) for name in names)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [folder / name for folder, names in walk(path) for name in names if _is_text(name)]


def _is_text(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _records(file: Path) -> Iterator[tuple[int, int, int]]:
    """The number of its first line, start and size in bytes of each record."""
    with file.open("rb") as lines:
        offset = len(BOM) if lines.read(len(BOM)) == BOM else 0
        lines.seek(offset)
        first, begun, read = 0, 0, bytearray()
        for number, line in enumerate(lines, 1):
            if line.isspace() and len(read.strip()) >= SHORT:
                yield from _parted(first, begun, bytes(read))
                read.clear()
            elif read or not line.isspace():
                if not read:
                    first, begun = number, offset
                read += line
            offset += len(line)
        yield from _parted(first, begun, bytes(read))


def _parted(line: int, start: int, text: bytes) -> Iterator[tuple[int, int, int]]:
    """Pieces of at most LONG bytes, each up to the last end of a sentence in reach, else of a word or a character."""
    at = 0
    while at < len(text):
        size = min(LONG, len(text) - at)
        if at + size < len(text):
            reach = text[at : at + size]
            ends = [match.end() for match in _ENDS.finditer(reach)]
            size = ends[-1] if ends else reach.rfind(b" ") + 1 or LONG
            while text[at + size] & 0xC0 == 0x80:  # within a character
                size -= 1
        piece = text[at : at + size]
        if piece.strip():
            yield line, start + at, size
        line += piece.count(b"\n")
        at += size
