"""The text of photos as the library keeps it: line by line as it was read, and folded, to be searched.

`texts.words` has the words of a line separated by spaces and lines by line breaks; `texts.run` is the same without
either, because recognisers lose spaces and invent them. An FTS5 index follows each by triggers.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from isthmus.photos.text.fold import words_of
from isthmus.photos.text.lines import Line

if TYPE_CHECKING:
    from isthmus.photos.store import Library

VERSION = 1
"""Of the reading. Raise it where more or better is read: photos are then read again."""

AT_ONCE = 500
"""Photos a query; SQLite allows a thousand values in its oldest forms."""


def write(database: sqlite3.Connection, photo: int, lines: Sequence[Line], engine: str) -> None:
    """In place of what was read before. A photo without text has a row too: it need not be read again."""
    database.execute("DELETE FROM text_lines WHERE photo = ?", (photo,))
    # Not REPLACE, which would pass the triggers by.
    database.execute("DELETE FROM texts WHERE photo = ?", (photo,))
    words = "\n".join(" ".join(words_of(line.text)) for line in lines)
    database.execute(
        "INSERT INTO texts (photo, version, engine, words, run) VALUES (?, ?, ?, ?, ?)",
        (photo, VERSION, engine, words, "".join(words.split())),
    )
    database.executemany(
        "INSERT INTO text_lines (photo, line, text, confidence, x, y, w, h) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (photo, at, line.text, line.confidence, line.x, line.y, line.w, line.h) for at, line in enumerate(lines)
        ],
    )  # fmt: skip


def lines_of(library: "Library", photos: Iterable[int]) -> dict[int, tuple[Line, ...]]:
    """All that was read in these photos; one without text has no entry."""
    found: dict[int, list[Line]] = {}
    wanted = list(photos)
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        rows = library.query(
            f"""SELECT photo, text, confidence, x, y, w, h FROM text_lines
            WHERE photo IN ({", ".join("?" * len(some))}) ORDER BY photo, line""",
            some,
        )
        for photo, *line in rows:
            found.setdefault(photo, []).append(Line(*line))
    return {photo: tuple(lines) for photo, lines in found.items()}


def count_read(library: "Library") -> int:
    """Photos that have a file and whose text was read, also those that show none."""
    rows = library.query(
        """SELECT count(*) FROM texts t WHERE t.version >= ?
        AND EXISTS (SELECT 1 FROM files f WHERE f.photo = t.photo AND f.gone_at IS NULL)""",
        (VERSION,),
    )
    return int(rows[0][0])
