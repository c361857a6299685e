"""Conversations in JSON: LLaVA's records, the API's messages, or rows of picture, question, answer and caption."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus.data.example import Example, named
from isthmus.data.json_file import JsonRecords
from isthmus.data.picture_files import picture
from isthmus.data.rows import USUAL, Columns, ending_in_an_answer, example_of
from isthmus.errors import InputError
from isthmus.messages import ImagePart
from isthmus.records import parse_record


class Conversations:
    """The records of a .json or .jsonl file: read when asked for, only their places are held."""

    def __init__(self, path: Path, *, folder: Path | None = None, columns: Columns = USUAL) -> None:
        """`folder`: where pictures are named from, None for the file's own. Raises InputError where it is no such file.

        Records are as in `records.parse_record` or `rows.example_of`; beside "messages" there may be "answers" and
        "kind" (see Example), and "images" for the marks <image> in texts.
        """
        self.name, self.columns = path.name, columns
        self.folder = path.parent if folder is None else folder
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {self.folder}", todo="say which folder the pictures are in")
        self._records = JsonRecords(path)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, at: int) -> Example:
        at = range(len(self))[at]
        record, place = self._records[at], self._records.place(at)
        if isinstance(record, Mapping):
            return example_of(record, place, self._picture, self.columns)
        try:
            return Example(ending_in_an_answer(parse_record(record, self.folder)), place)
        except InputError as error:
            raise named(place, error) from None

    def _picture(self, value: Any) -> ImagePart:
        return picture(value, self.folder)
