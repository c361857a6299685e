"""Survey: what a source holds, seen by reading some of it and opening its pictures, before a long run begins."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from isthmus.data.example import Bad, Example, Examples, Stream, bad_record
from isthmus.errors import InputError, PictureError
from isthmus.images.open import picture_of
from isthmus.progress import SILENT, Progress


@dataclass(frozen=True)
class Survey:
    """`records`: of the whole source, None of a stream. All else: of the `looked_at` ones.

    A record with a picture that cannot be opened is bad; each picture is counted wherever it comes.
    """

    name: str
    records: int | None
    looked_at: int
    usable: int
    pictures: int
    missing: int
    """Pictures that are not where they are said to be."""
    unreadable: int
    """Pictures that are there and cannot be opened."""
    mean_question: float
    """Characters of all that users say in a usable record."""
    mean_answer: float
    """Characters of all that assistants say in a usable record."""
    kinds: dict[str, int]
    bad: tuple[Bad, ...]

    def __str__(self) -> str:
        """In a line."""
        of = f" of {self.records}" if self.records is not None else ""
        return (
            f"{self.name}: {self.usable} of {self.looked_at} records looked at{of} can be used; {self.pictures} "
            f"pictures, {self.missing} missing, {self.unreadable} unreadable; answers of {self.mean_answer:.0f} "
            f"characters on average"
        )


def survey(source: Examples | Stream, limit: int = 1000, *, progress: Progress = SILENT) -> Survey:
    """Reads at most `limit` records, of Examples evenly spread over all, of a Stream the first. Nothing is drawn: the
    same source gives the same survey."""
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    bad: list[Bad] = []
    for record in records_of(source, limit):
        counts["looked at"] += 1
        failed = record if isinstance(record, Bad) else _opened(record, counts)
        if failed is not None:
            bad.append(failed)
        elif isinstance(record, Example):
            counts["usable"] += 1
            kinds[record.kind] += 1
            for message in record.messages:
                counts[message.role] += len(message.text)
        progress.advance()
    usable = max(counts["usable"], 1)
    return Survey(
        name=source.name,
        records=None if isinstance(source, Stream) else len(source),
        looked_at=counts["looked at"],
        usable=counts["usable"],
        pictures=counts["pictures"],
        missing=counts["missing"],
        unreadable=counts["unreadable"],
        mean_question=counts["user"] / usable,
        mean_answer=counts["assistant"] / usable,
        kinds=dict(kinds),
        bad=tuple(bad),
    )


def records_of(source: Examples | Stream, limit: int) -> Iterator[Example | Bad]:
    """At most `limit`, as `survey` reads them."""
    if isinstance(source, Stream):
        yield from islice(source, limit)
        return
    size = len(source)
    looked_at = min(size, limit)
    for number in range(looked_at):
        at = number * size // looked_at
        try:
            yield source[at]
        except InputError as error:
            yield bad_record(source, at, error)


def _opened(example: Example, counts: Counter[str]) -> Bad | None:
    """Every picture is opened, also behind one that cannot be: all are counted."""
    failed: Bad | None = None
    for message in example.messages:
        for part in message.pictures:
            counts["pictures"] += 1
            try:
                picture_of(part.source, at_least=1)
            except PictureError as error:
                counts["missing" if error.reason == "missing" else "unreadable"] += 1
                failed = failed or Bad(example.place, error)
            except InputError as error:
                counts["unreadable"] += 1
                failed = failed or Bad(example.place, error)
    return failed
