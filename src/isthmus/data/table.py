"""A table of captions or questions beside pictures: .csv or .tsv, as a spreadsheet saves it."""

import csv
from pathlib import Path
from typing import Any

from isthmus.data.example import Example, named
from isthmus.data.picture_files import SUFFIXES, picture
from isthmus.data.rows import PICTURE, QUESTION, TEXT, USUAL, Columns, example_of, first_of
from isthmus.errors import InputError
from isthmus.messages import ImagePart

SEPARATORS = (",", "\t", ";", "|")


class Table:
    """Rows of a table; several captions of one picture are one Example. The text is held, no picture.

    The first row names the columns (see `rows`); without such a row the first two columns are picture and caption.
    """

    def __init__(self, path: Path, *, folder: Path | None = None, columns: Columns = USUAL) -> None:
        """`folder`: where pictures are named from, None for the table's own. Raises InputError where it is no table."""
        self.name, self.columns = path.name, columns
        self.folder = path.parent if folder is None else folder
        self._rows = _grouped(_rows(path, columns), columns)
        if not self._rows:
            raise InputError(f"{path} holds no row")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> Example:
        line, row = self._rows[at]
        place = f"{self.name}, line {line}"
        if isinstance(row, InputError):
            raise named(place, row)
        return example_of(row, place, self._picture, self.columns)

    def _picture(self, value: Any) -> ImagePart:
        return picture(value, self.folder)


def begins_a_table(head: bytes) -> bool:
    """Whether a text's first line names columns, or a picture: a damaged table is one that says so itself."""
    first = head.split(b"\n")[0].decode("utf-8", "replace").strip()
    if any(mark in first for mark in SEPARATORS):
        cells = {cell.casefold() for mark in SEPARATORS for cell in _cells(first, mark)}
        named = len(cells & {name.casefold() for name in USUAL.all}) > 1
        return named or any(Path(cell).suffix.lower() in SUFFIXES for cell in cells)
    return False


def _rows(path: Path, columns: Columns) -> list[tuple[int, dict[str, Any] | InputError]]:
    """(line, row) in their order; a row with cells missing or left over is an error of its own."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", todo="check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8", why=str(error), todo="save it as CSV UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read", why=error.strerror or str(error)) from None
    lines = text.split("\n")
    separator, header = _separator(lines[0].rstrip("\r"), path, columns)
    reader = csv.reader((line + "\n" for line in lines), delimiter=separator, skipinitialspace=True, strict=True)
    found: list[tuple[int, dict[str, Any] | InputError]] = []
    behind = 0
    while True:
        line = behind + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "end of data" in str(error):
                raise InputError(f"{path}, line {line}: a quote is never closed", todo="close or double it") from None
            cells = []
            found.append((line, InputError("the row cannot be read", why=str(error), todo="double quotes in quotes")))
        behind = reader.line_num
        if cells is None:
            return found
        if not any(cell.strip() for cell in cells) or (header and line == 1):
            continue
        found.append((line, _row(header or [PICTURE[0], TEXT[0]], cells)))


def _row(header: list[str], cells: list[str]) -> dict[str, Any] | InputError:
    while len(cells) > len(header) and not cells[-1].strip():
        cells = cells[:-1]  # separators at the end of a line
    if len(cells) != len(header):
        return InputError(
            f"the row has {len(cells)} cells for {len(header)} columns", todo="put texts with separators in quotes"
        )
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _separator(first: str, path: Path, columns: Columns) -> tuple[str, list[str]]:
    """What separates the cells, and the columns' names; [] where the first row is a row like all others."""
    cut = {mark: _cells(first, mark) for mark in SEPARATORS}
    for mark, cells in cut.items():
        while cells and not cells[-1]:
            cells.pop()
        names = {cell.casefold() for cell in cells}
        if names & {name.casefold() for name in columns.all} and len(cells) > 1:
            return mark, cells
    for mark, cells in cut.items():
        if len(cells) == 2 and Path(cells[0]).suffix.lower() in SUFFIXES:
            return mark, []
    raise InputError(
        f"{path} is no table of captions",
        why=f"its first line is {first[:60]!r}",
        todo=f"name the columns, as in {PICTURE[5]},{TEXT[2]}",
    )


def _cells(line: str, mark: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])]
    except csv.Error:
        return []  # not with this separator


def _grouped(
    rows: list[tuple[int, dict[str, Any] | InputError]], columns: Columns
) -> list[tuple[int, dict[str, Any] | InputError]]:
    """Rows of the same picture as one with all their captions, in the place of the first; questions as they are."""
    found: list[tuple[int, dict[str, Any] | InputError]] = []
    of: dict[str, list[str]] = {}
    for line, row in rows:
        if isinstance(row, InputError) or first_of(row, columns.question, QUESTION):
            found.append((line, row))
            continue
        at, text = first_of(row, columns.picture, PICTURE), first_of(row, columns.text, TEXT)
        if not at or not text or not row[at]:
            found.append((line, row))
        elif row[at] in of:
            of[row[at]].append(row[text])
        else:
            of[row[at]] = [row[text]]
            found.append((line, {**row, text: of[row[at]]}))
    return found
