"""Read the text of indexed photos that was not read yet: in threads, saved a few photos at a time, to be stopped and
gone on with at any moment."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from isthmus.errors import InputError, IsthmusError
from isthmus.photos.ahead import ahead
from isthmus.photos.facts import bits
from isthmus.photos.source import NotThere, Source
from isthmus.photos.store import Library
from isthmus.photos.text import kept
from isthmus.photos.text.lines import Line, TextReader
from isthmus.progress import Progress, progress

TOGETHER = 8
"""Photos a transaction; the most work, beside what is in hand, that a kill can lose."""
FIRST = bits(frozenset({"document", "screenshot"}))
"""The kinds that are read first: they have most text."""


@dataclass
class ReadingReport:
    """What one run did, in photos. `postponed`: those whose file is not there or cannot be read just now, by reason;
    the next run tries them again. `left`: still to be read, with these."""

    read: int = 0
    with_text: int = 0
    lines: int = 0
    postponed: Counter[str] = field(default_factory=Counter)
    left: int = 0
    seconds: float = 0.0
    stopped: bool = False


@dataclass(frozen=True)
class Outcome:
    """Of one photo. `reason`: why it was passed over."""

    photo: int
    lines: tuple[Line, ...] = ()
    reason: str = ""


def read_text(
    library: Library,
    reader: TextReader,
    *,
    workers: int | None = None,
    quiet: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> ReadingReport:
    """Read the text of all photos that wait for it, documents and screenshots first.

    `workers`: threads (None: one per processor). `stop` is asked after every photo; once true, those in hand are read
    to their end and saved. Raises InputError for a number of workers below 1, CorruptLibrary.
    """
    if workers is not None and workers < 1:
        raise InputError(f"{workers} workers read nothing", todo="give 1 or more")
    start = time.monotonic()
    report = ReadingReport()
    photos = waiting(library)
    if photos and not stop():
        with progress("reading text", len(photos), "photos", quiet=quiet) as shown:
            _read_all(library, reader, iter(photos), workers or os.cpu_count() or 1, report, shown, stop)
    report.left = len(waiting(library))
    report.stopped = stop() and report.left > 0
    report.seconds = time.monotonic() - start
    return report


def waiting(library: Library) -> list[int]:
    """Photos with a file whose text was not read, or by an older version; the order is that of reading."""
    rows = library.query(
        """SELECT f.photo, max(coalesce(s.kinds, 0) & ? <> 0) AS first FROM files f LEFT JOIN facts s ON s.file = f.id
        WHERE f.gone_at IS NULL AND f.photo IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.photo = f.photo AND t.version >= ?)
        GROUP BY f.photo ORDER BY first DESC, f.photo""",
        (FIRST, kept.VERSION),
    )
    return [photo for photo, _ in rows]


def _read_all(
    library: Library,
    reader: TextReader,
    photos: Iterator[int],
    threads: int,
    report: ReadingReport,
    shown: Progress,
    stop: Callable[[], bool],
) -> None:
    work = partial(_read, Source(library), reader)
    done: list[Outcome] = []
    try:
        for outcome in ahead(work, photos, threads, stop):
            done.append(outcome)
            _count(outcome, report, shown)
            if len(done) >= TOGETHER:
                _save(library, reader, done)
    finally:
        _save(library, reader, done)


def _read(source: Source, reader: TextReader, photo: int) -> Outcome:
    try:
        return Outcome(photo, reader.read(source.picture(photo, reader.at_least)))
    except NotThere as error:
        return Outcome(photo, reason=error.reason)
    except IsthmusError:  # of the library
        raise
    except Exception as error:  # noqa: BLE001 - a model's surprise is one photo's trouble and is listed as such
        return Outcome(photo, reason=f"error: {type(error).__name__}")


def _count(outcome: Outcome, report: ReadingReport, shown: Progress) -> None:
    if outcome.reason:
        report.postponed[outcome.reason] += 1
    else:
        report.read += 1
        report.with_text += bool(outcome.lines)
        report.lines += len(outcome.lines)
    shown.advance(1, f"{report.with_text} with text")


def _save(library: Library, reader: TextReader, done: list[Outcome]) -> None:
    if any(not outcome.reason for outcome in done):
        with library.transaction() as database:
            for outcome in done:
                if not outcome.reason:
                    kept.write(database, outcome.photo, outcome.lines, reader.name)
    done.clear()
