"""What could not be used, by source: counted, the first named, all of them written to a file."""

import json
from collections import Counter
from pathlib import Path

from isthmus.data.example import Bad
from isthmus.errors import InputError, PictureError


class Report:
    """Bad records so far: each counts once, however many stages meet it."""

    def __init__(self, path: Path | None = None, *, keep: int = 20) -> None:
        """`path`: a file of JSON lines to add them to ("bad_records.jsonl"), written at once. `keep`: how many are
        held in `first`. Raises InputError where the file cannot be written."""
        self.path, self.keep = path, keep
        self.counts: Counter[str] = Counter()
        self.first: list[tuple[str, Bad]] = []
        self._known: set[tuple[str, str]] = set()
        if path is not None:
            self._write("")

    def add(self, source: str, bad: Bad) -> None:
        if (source, bad.place) in self._known:
            return
        self._known.add((source, bad.place))
        self.counts[source] += 1
        if len(self.first) < self.keep:
            self.first.append((source, bad))
        error = bad.error
        line = {"source": source, "place": bad.place, "what": error.what, "why": error.why, "todo": error.todo}
        if isinstance(error, PictureError):
            line["reason"] = error.reason
        self._write(json.dumps(line, ensure_ascii=False) + "\n")

    @property
    def total(self) -> int:
        return self.counts.total()

    def _write(self, line: str) -> None:
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(line)
        except OSError as error:
            raise InputError(
                f"bad records cannot be written to {self.path}", why=error.strerror or str(error)
            ) from None
