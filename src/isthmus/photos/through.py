"""Photos that are in the library go through a model, from whichever of their files is there: the passes after indexing.

In batches, a transaction each; can be stopped or killed anywhere, and goes on where it was.
"""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, IsthmusError
from isthmus.images.views import Views
from isthmus.photos.ahead import ahead
from isthmus.photos.source import NotThere
from isthmus.photos.store import Library
from isthmus.progress import progress

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder

Cut = Callable[[int], tuple[Views, ...]]
"""A photo's pictures for the model. Raises NotThere."""
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
) -> Passed:
    """`save` for all photos that are `waiting`, which says what is left when it is asked again.

    `batch`: photos through the model at once, and the most work a kill can lose. `workers`: threads that read and
    decode (None: one per processor). `stop` is asked after every photo; once true, what is in hand is finished and
    saved. Raises InputError, CorruptLibrary.
    """
    if batch < 1 or (workers is not None and workers < 1):
        raise InputError("batch and workers are counts", why=f"got {batch} and {workers}", todo="give 1 or more")
    start = time.monotonic()
    report = Passed()
    photos = waiting()
    threads = workers or os.cpu_count() or 1
    ready: list[_Ready] = []
    if photos and not stop():
        with progress(what, len(photos), "photos", quiet=quiet) as shown:
            for each in ahead(partial(_ready, cut), photos, threads, stop, in_hand=2 * batch + threads):
                if each.reason:
                    report.postponed[each.reason] += 1
                    shown.advance(1)
                else:
                    ready.append(each)
                if len(ready) >= batch:
                    _embed(library, embedder, save, ready, report)
                    shown.advance(len(ready))
                    ready.clear()
            _embed(library, embedder, save, ready, report)
            shown.advance(len(ready))
    report.left = len(waiting())
    report.stopped = stop() and report.left > 0
    report.seconds = time.monotonic() - start
    return report


@dataclass(frozen=True)
class _Ready:
    """A photo's pictures, ready for the model. `reason`: why there are none."""

    photo: int
    views: tuple[Views, ...] = ()
    reason: str = ""


def _ready(cut: Cut, photo: int) -> _Ready:
    try:
        return _Ready(photo, cut(photo))
    except NotThere as error:
        return _Ready(photo, reason=error.reason)
    except IsthmusError:  # of the library
        raise
    except Exception as error:  # noqa: BLE001 - one photo's trouble, and listed as such
        return _Ready(photo, reason=f"error: {type(error).__name__}")


def _embed(library: Library, embedder: "Embedder", save: Save, photos: Sequence[_Ready], report: Passed) -> None:
    if not photos:
        return
    vectors: NDArray[np.float32] = (
        embedder.images([view for each in photos for view in each.views]).float().cpu().numpy()
    )
    at = 0
    with library.transaction() as database:
        for each in photos:
            some = vectors[at : at + len(each.views)]
            at += len(each.views)
            if np.isfinite(some).all():
                save(database, each.photo, some.astype("<f2"))
                report.done += 1
            else:
                report.postponed["the model gave numbers that are not finite"] += 1
