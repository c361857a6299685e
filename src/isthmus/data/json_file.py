"""JSON and JSON-lines files of any size: where each record stands, and one record at a time.

A gigabyte of JSON is five of Python objects, in every process. What is kept here is 24 bytes a record.
"""

import json
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isthmus.data.example import RecordError
from isthmus.errors import InputError

BOM = b"\xef\xbb\xbf"
SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()


class JsonRecords:
    """The records of a .jsonl file, or of a JSON list (a list of messages alone is one record). Counted from 1 in
    `place`, and so `isthmus inspect FILE:3` shows the same one; blank lines are left out but counted."""

    def __init__(self, path: Path) -> None:
        """Reads the file once. Raises InputError where it cannot be read, is no list of records, or has none."""
        self.path = path
        self._starts, self._sizes, self._numbers = array("Q"), array("Q"), array("Q")
        index = self._index_lines if is_lines(path) else self._index_list
        index()
        if not self._starts:
            raise InputError(f"{path} holds no record")

    def __len__(self) -> int:
        return len(self._starts)

    def place(self, at: int) -> str:
        return f"{self.path.name}, record {self._numbers[at]}"

    def __getitem__(self, at: int) -> Any:
        """The record as JSON has it. Raises InputError where it is not JSON, or the file is no longer there."""
        at = range(len(self))[at]
        try:
            with self.path.open("rb") as file:
                file.seek(self._starts[at])
                return json.loads(file.read(self._sizes[at]).decode("utf-8"))
        except OSError as error:
            raise InputError(f"{self.path} cannot be read", why=error.strerror or str(error)) from None
        except (ValueError, RecursionError) as error:
            raise RecordError(self.place(at), "it is not JSON", why=str(error)) from None

    def _index_lines(self) -> None:
        try:
            with self.path.open("rb") as file:
                start = len(BOM) if file.read(len(BOM)) == BOM else 0
                file.seek(start)
                for number, line in enumerate(file, 1):
                    if not line.isspace():
                        self._add(start, len(line), number)
                    start += len(line)
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def _index_list(self) -> None:
        text = whole(self.path)
        start = _skip(text, 0)
        if text[start : start + 1] == "[":
            byte, last, turns = len(BOM) if _has_bom(self.path) else 0, 0, True
            for number, (begin, end, value) in enumerate(_elements(text, start, self.path), 1):
                byte += _bytes(text, last, begin)
                size = _bytes(text, begin, end)
                self._add(byte, size, number)
                byte, last = byte + size, end
                turns = turns and isinstance(value, dict) and "role" in value
            if self._starts and not turns:
                return
        del self._starts[:], self._sizes[:], self._numbers[:]
        if text.strip() and json_value(text, self.path) != []:
            skipped = len(BOM) if _has_bom(self.path) else 0
            self._add(skipped, self.path.stat().st_size - skipped, 1)

    def _add(self, start: int, size: int, number: int) -> None:
        self._starts.append(start)
        self._sizes.append(size)
        self._numbers.append(number)


def is_lines(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson")


def members(path: Path, *wanted: str) -> Iterator[tuple[str, Any]]:
    """Of a JSON object: (key, element) for every element of the lists under the wanted keys, and (key, value) for
    what else is under one of them. Nothing is kept. Raises InputError where the file is no object."""
    text = whole(path)
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise InputError(f"{path} is no JSON object", why=f"it begins with {text[at : at + 10]!r}")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = _value(text, at, path)
        at = _skip(text, at)
        at = _skip(text, _expect(text, at, ":", path))
        if key in wanted and text[at : at + 1] == "[":
            at += 1
            for _, end, value in _elements(text, at - 1, path):
                at = end
                yield key, value
            at = _skip(text, _expect(text, _skip(text, at), "]", path))
        else:
            value, at = _value(text, at, path)
            at = _skip(text, at)
            if key in wanted:
                yield key, value
        if text[at : at + 1] != "}":
            at = _skip(text, _expect(text, at, ",", path))


def whole(path: Path) -> str:
    """The text of a JSON file. Raises InputError."""
    try:
        return path.read_bytes().removeprefix(BOM).decode("utf-8")
    except OSError as error:
        raise _unreadable(path, error) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8", why=str(error), todo="save it as UTF-8") from None


def json_value(text: str, path: Path) -> Any:
    """The text's value. Raises InputError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON", why=str(error)) from None


def _elements(text: str, start: int, path: Path) -> Iterator[tuple[int, int, Any]]:
    """Of the list that begins at `start`: begin, end and value of each element."""
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        value, end = _value(text, at, path)
        yield at, end, value
        at = _skip(text, end)
        if text[at : at + 1] != "]":
            at = _skip(text, _expect(text, at, ",", path))


def _value(text: str, at: int, path: Path) -> tuple[Any, int]:
    try:
        return DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON", why=str(error)) from None


def _expect(text: str, at: int, mark: str, path: Path) -> int:
    if text[at : at + 1] != mark:
        line = text.count("\n", 0, at) + 1
        found = repr(text[at : at + 1]) if text[at : at + 1] else "the end"
        raise InputError(f"{path} is not JSON", why=f"line {line} has {found} where {mark!r} is expected")
    return at + 1


def _skip(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return match.end() if match else at


def _bytes(text: str, start: int, end: int) -> int:
    return len(text[start:end].encode("utf-8"))


def _has_bom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(BOM)) == BOM


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"there is no file {path}", todo="check the path")
    return InputError(f"{path} cannot be read", why=error.strerror or str(error))
