"""One way to show progress: a bar on stderr with count, rate and time left.

On a terminal it is a live bar; elsewhere (a log file, CI) a plain line every few seconds. `quiet` shows nothing.
Nothing is ever written to stdout, which belongs to results.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What long work reports to."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` more units are done; `note` is shown behind the count (the loss, the current folder)."""


@contextmanager
def progress(label: str, total: int | None, unit: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A reporter for `total` units of work (None: unknown); `unit` is the plural shown ("photos", "steps")."""
    if quiet:
        yield SILENT
    elif sys.stderr.isatty():
        with _bar(label, total, unit) as bar:
            yield bar
    else:
        lines = _Lines(label, total, unit)
        yield lines
        lines.close()


class _Silent:
    def advance(self, n: int = 1, note: str = "") -> None:
        pass


SILENT: Progress = _Silent()


class _Lines:
    """Plain lines for logs: at most one every `every` seconds, and one at the end."""

    every = 5.0

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.note = 0, ""
        self.start = self.last = time.monotonic()

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        self.note = note or self.note
        if time.monotonic() - self.last >= self.every:
            self._print()

    def close(self) -> None:
        self._print()

    def _print(self) -> None:
        self.last = time.monotonic()
        rate = self.done / max(self.last - self.start, 1e-9)
        of = f"/{self.total}" if self.total is not None else ""
        left = (
            f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate and self.done < self.total else ""
        )
        note = f", {self.note}" if self.note else ""
        line = f"{self.label}: {self.done}{of} {self.unit}, {rate:.1f}/s{left}{note}"
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


@contextmanager
def _bar(label: str, total: int | None, unit: str) -> Iterator[Progress]:
    # rich costs 60 ms to import: only a terminal pays it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]} {task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich:
        task = rich.add_task(label, total=total, unit=unit, rate="", note="")
        start = time.monotonic()
        done = 0

        class Bar:
            def advance(self, n: int = 1, note: str = "") -> None:
                nonlocal done
                done += n
                rate = f"{done / max(time.monotonic() - start, 1e-9):.1f}/s"
                if note:
                    rich.update(task, note=note)
                rich.update(task, advance=n, rate=rate)

        yield Bar()


@contextmanager
def no_foreign_bars() -> Iterator[None]:
    """`transformers` shows no progress bars of its own within the block: ours say what is going on, or nothing does."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
