"""Keep a library up to date with its folders: when something changes in them, and every so often anyway.

The operating system's events (watchfiles) say no more than that there is something to look at; what changed is for
`index` to find, as ever. The library is locked during a pass alone, so that `isthmus photos index` can run in between.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

from isthmus.errors import InputError, InUse, MissingPart
from isthmus.photos import paths
from isthmus.photos.index import IndexReport
from isthmus.photos.store import FILE, Library
from isthmus.photos.through import Passed
from isthmus.photos.update import update

if TYPE_CHECKING:  # the embedder brings torch, which the command line loads only when it is needed
    from watchfiles import Change

    from isthmus.contrastive.embedder import Embedder

Why = Literal["start", "change", "time", "back"]

QUIET = 1.0
"""Seconds without a change after which a pass begins: copying a card makes one pass, not one a file."""

PATIENCE = 30.0
"""Seconds of changes without such a pause after which it begins all the same."""

TICK = 0.5
"""Seconds between two looks at whether the folders are there, and whether to stop."""

AGAIN = 5.0
"""Seconds until another try where another process holds the library."""


@dataclass(frozen=True)
class Indexed:
    """One pass: at the start, since something changed, since it was time, or since a folder is back. `look`: at the
    regions of photos, where that was asked for and there are any."""

    why: Why
    report: IndexReport
    look: Passed | None = None


@dataclass(frozen=True)
class Away:
    """A folder is not there, say on a drive that was unplugged. It is waited for."""

    folder: Path


@dataclass(frozen=True)
class Back:
    folder: Path


@dataclass(frozen=True)
class Busy:
    """Another process holds the library. Said once, tried until it is free."""


@dataclass(frozen=True)
class Deaf:
    """The system gives no events: folders are looked at every so often only."""

    why: str


Happening = Indexed | Away | Back | Busy | Deaf


def watch(
    library: Path,
    folders: Sequence[Path],
    embedder: "Embedder",
    *,
    every: float = 600.0,
    batch: int = 16,
    workers: int | None = None,
    closer: bool = True,
    quiet: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Happening]:
    """Index now, on changes and every `every` seconds, and tell what happened, until `stop` says so.

    `stop` is asked twice a second, and by `index` after every picture. `closer`: each pass then looks at regions, as
    `regions.look_closer` does. `quiet`: no progress of the first pass; the
    others show none.

    Raises InputError where a folder that is neither there nor known to the library is named, MissingPart without
    watchfiles, and as `index`; but not where a folder goes away.
    """
    check_watched(library, folders)
    there = _there(folders)
    yield from (Away(folder) for folder in folders if folder not in there)
    why: Why | None = "start"
    due, busy, deaf = time.monotonic() + every, False, ""
    while not stop():
        # It listens before the pass begins: what changes while the pass goes on makes another one.
        with closing(_Ears(there, library.absolute(), stop)) as ears:
            if ears.deaf != deaf and ears.deaf:
                yield Deaf(ears.deaf)
            deaf = ears.deaf
            if why is not None and there:
                try:
                    with Library.write(library) as store:
                        silent = quiet or why != "start"
                        done = update(
                            store,
                            list(there),
                            embedder,
                            batch=batch,
                            workers=workers,
                            closer=closer,
                            quiet=silent,
                            stop=stop,
                        )
                    due, busy = time.monotonic() + every, False
                    yield Indexed(why, done.report, done.look)
                except InUse:
                    due = time.monotonic() + min(AGAIN, every)
                    if not busy:
                        yield Busy()
                    busy = True
                except InputError:
                    if _there(folders) == there:  # else a folder went away on the way, which is said below
                        raise
            why = _wait(ears, folders, there, due, stop)
        now = _there(folders)
        yield from (Away(folder) for folder in there if folder not in now)
        back = [folder for folder in now if folder not in there]
        yield from map(Back, back)
        there, why = now, "back" if back else why


def check_watched(library: Path, folders: Sequence[Path]) -> None:
    """Raises InputError for the first folder that is neither there nor known to the library; MissingPart."""
    if find_spec("watchfiles") is None:
        raise MissingPart("watching folders needs watchfiles", todo="pip install 'isthmus[watch]'")
    missing = [folder for folder in folders if not _is_there(folder)]
    if missing and (library / FILE).exists():
        with Library.read(library) as store:
            roots = [root for (root,) in store.query("SELECT path FROM roots")]
        missing = [folder for folder in missing if not _is_known(folder, roots)]
    if missing:
        raise InputError(f"there is no folder {missing[0]}", why="and none is known", todo="check the path")


def _wait(
    ears: "_Ears", folders: Sequence[Path], there: Mapping[Path, int], due: float, stop: Callable[[], bool]
) -> Why | None:
    """Until there is a reason for a pass; None where it is to stop."""
    first = last = 0.0
    while not stop():
        heard = ears.listen()
        if _there(folders) != there:
            return "change"
        now = time.monotonic()
        if heard:
            first, last = first or now, now
        if first and (now - last >= QUIET or now - first >= PATIENCE):
            return "change"
        if there and now >= due:
            return "time"
    return None


def _there(folders: Sequence[Path]) -> dict[Path, int]:
    """Which are there, and on which device: another one, and a drive was mounted or unmounted."""
    found = {}
    for folder in folders:
        if _is_there(folder):
            try:
                found[folder] = folder.stat().st_dev
            except OSError:
                continue  # it went just now
    return found


def _is_there(folder: Path) -> bool:
    return paths.is_folder(os.fsencode(folder)) and os.access(folder, os.R_OK | os.X_OK)


def _is_known(folder: Path, roots: list[bytes]) -> bool:
    path = paths.real(folder)
    return any(path == root or path.startswith(paths.start(root)) for root in roots)


class _Ears:
    """The system's events of some folders and all below them. `deaf`: why there are none, or ""."""

    def __init__(self, folders: Iterable[Path], library: Path, stop: Callable[[], bool]) -> None:
        roots = [paths.real(folder) for folder in folders]
        self._stop, self._asleep = stop, Event()
        self._library = paths.start(paths.real(library))
        self._roots = [paths.start(root) for root in roots]
        self._events: Iterator[set[tuple[Change, str]]] | None = None
        self._early = False
        self.deaf = ""
        if not roots:
            return
        from watchfiles import watch as events

        self._events = events(
            *map(os.fsdecode, roots),
            watch_filter=None,  # with one, it would not come back while there are changes that are passed over
            debounce=round(1000 * QUIET),
            rust_timeout=round(1000 * TICK),
            yield_on_timeout=True,
            stop_event=self,
            ignore_permission_denied=True,
        )
        try:
            self._early = self._heard()  # only now does it begin to listen
        except (OSError, RuntimeError, UnicodeEncodeError) as error:
            self.deaf, self._events = str(error), None

    def is_set(self) -> bool:
        """What watchfiles asks a `stop_event`."""
        return self._stop()

    def listen(self) -> bool:
        """Whether something changed that is not passed over; it waits TICK at most for the first of it."""
        if self._events is None:
            self._asleep.wait(TICK)
            return False
        early, self._early = self._early, False
        try:
            return self._heard() or early
        except RuntimeError:  # a name that is not text, or it lost count: something changed
            self._events = None
            return True

    def _heard(self) -> bool:
        assert self._events is not None
        return any(self._counts(os.fsencode(path)) for _, path in next(self._events, set()))

    def close(self) -> None:
        if isinstance(self._events, Generator):
            self._events.close()

    def _counts(self, path: bytes) -> bool:
        """The library writes, and what is in hidden folders is not entered."""
        if path.startswith(self._library):
            return False
        inner = next((path[len(root) :] for root in self._roots if path.startswith(root)), b"")
        return not any(folder.startswith(b".") for folder in inner.split(os.fsencode(os.sep))[:-1])
