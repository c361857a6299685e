"""Photos that are in the library go through a model, from whichever of their files is there: the passes after indexing.

In batches, a transaction each; can be stopped or killed anywhere, and goes on where it was.
"""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, IsthmusError
from isthmus.images.views import Fit, Picture, Views
from isthmus.photos.ahead import ahead
from isthmus.photos.source import NotThere, Source
from isthmus.photos.store import Library
from isthmus.progress import progress

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.photos.cluster import Cluster


@dataclass(frozen=True)
class Cut:
    """`views`: a photo's pictures for a model with this Fit. `at_least`: pixels of its shorter side that they need
    (None: all). Both are functions of a module, so that another machine can find them."""

    views: Callable[[Picture, Fit], tuple[Views, ...]]
    at_least: Callable[[Fit], int | None]


Save = Callable[[sqlite3.Connection, int, NDArray[np.float16]], None]
"""Keeps the vectors [pictures, dim] of a photo."""


@dataclass
class Passed:
    """What one run did, in photos. `postponed`: those whose file is not there or cannot be read just now, by reason;
    the next run tries them again. `left`: still to be done, with these."""

    done: int = 0
    postponed: Counter[str] = field(default_factory=Counter)
    left: int = 0
    seconds: float = 0.0
    stopped: bool = False


def through_model(
    library: Library,
    embedder: "Embedder",
    waiting: Callable[[], list[int]],
    cut: Cut,
    save: Save,
    *,
    what: str,
    batch: int,
    workers: int | None,
    quiet: bool,
    stop: Callable[[], bool],
    cluster: "Cluster | None" = None,
) -> Passed:
    """`save` for all photos that are `waiting`, which says what is left when it is asked again.

    `batch`: photos through the model at once, and the most work a kill can lose. `workers`: threads that read and
    decode (None: one per processor). `stop` is asked after every photo; once true, what is in hand is finished and
    saved. `cluster`: where the photos are read and seen instead. Raises InputError, CorruptLibrary.
    """
    if batch < 1 or (workers is not None and workers < 1):
        raise InputError("batch and workers are counts", why=f"got {batch} and {workers}", todo="give 1 or more")
    start = time.monotonic()
    report = Passed()
    photos = waiting()
    if photos and not stop():
        with progress(what, len(photos), "photos", quiet=quiet) as shown:
            if cluster is not None:
                seen = cluster.see(Source(library), photos, cut, stop)
            else:
                seen = _see(library, embedder, photos, cut, batch, workers or os.cpu_count() or 1, stop)
            for some in _together(seen, batch):
                _save_all(library, save, some, report)
                shown.advance(len(some))
    report.left = len(waiting())
    report.stopped = stop() and report.left > 0
    report.seconds = time.monotonic() - start
    return report


@dataclass(frozen=True)
class Seen:
    """What a model made of a photo's pictures [pictures, dim] float32. `reason`: why there is nothing."""

    photo: int
    vectors: NDArray[np.float32] | None = None
    reason: str = ""


@dataclass(frozen=True)
class _Ready:
    """A photo's pictures, ready for the model. `reason`: why there are none."""

    photo: int
    views: tuple[Views, ...] = ()
    reason: str = ""


def _see(
    library: Library,
    embedder: "Embedder",
    photos: Sequence[int],
    cut: Cut,
    batch: int,
    threads: int,
    stop: Callable[[], bool],
) -> Iterator[Seen]:
    """In threads, and the model beside them."""
    ready: list[_Ready] = []
    work = partial(_ready, Source(library), cut, embedder.fit)
    for each in ahead(work, photos, threads, stop, in_hand=2 * batch + threads):
        if each.reason:
            yield Seen(each.photo, reason=each.reason)
            continue
        ready.append(each)
        if len(ready) >= batch:
            yield from _embed(embedder, ready)
            ready.clear()
    yield from _embed(embedder, ready)


def _ready(source: Source, cut: Cut, fit: Fit, photo: int) -> _Ready:
    try:
        return _Ready(photo, cut.views(source.picture(photo, cut.at_least(fit)), fit))
    except NotThere as error:
        return _Ready(photo, reason=error.reason)
    except IsthmusError:  # of the library
        raise
    except Exception as error:  # noqa: BLE001 - one photo's trouble, and listed as such
        return _Ready(photo, reason=f"error: {type(error).__name__}")


def _embed(embedder: "Embedder", photos: Sequence[_Ready]) -> Iterator[Seen]:
    if photos:
        views = [view for each in photos for view in each.views]
        vectors: NDArray[np.float32] = embedder.images(views).float().cpu().numpy()
        at = 0
        for each in photos:
            yield Seen(each.photo, vectors[at : at + len(each.views)])
            at += len(each.views)


def _together(seen: Iterator[Seen], batch: int) -> Iterator[list[Seen]]:
    some: list[Seen] = []
    for each in seen:
        some.append(each)
        if len(some) >= batch:
            yield some
            some = []
    if some:
        yield some


def _save_all(library: Library, save: Save, photos: Sequence[Seen], report: Passed) -> None:
    with library.transaction() as database:
        for each in photos:
            if each.vectors is None:
                report.postponed[each.reason] += 1
            elif np.isfinite(each.vectors).all():
                save(database, each.photo, each.vectors.astype("<f2"))
                report.done += 1
            else:
                report.postponed["the model gave numbers that are not finite"] += 1
