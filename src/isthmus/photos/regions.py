"""Look closer: five regions of each photo go through the model too, so that small things are found, and where.

A pass of its own, after indexing: a photo can be found by its whole at once, and better when this came to it.
"""

import math
import os
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, IsthmusError
from isthmus.images.views import Box, Fit, Picture, Views
from isthmus.photos.ahead import ahead
from isthmus.photos.source import NotThere, Source
from isthmus.photos.store import Library, Model
from isthmus.progress import progress

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder

LAYOUT = 1
"""Of `boxes`. Raise it where these change: photos are then looked at again."""
SHARE = 0.6
"""Of the photo's sides: neighbours overlap, so that what lies on a seam is whole in one of them."""


REGIONS = 5
"""Of a photo."""


def boxes(width: int, height: int) -> tuple[Box, ...]:
    """The four corners and the middle, in pixels of a photo of that size."""
    w, h = SHARE * width, SHARE * height
    right, bottom = width - w, height - h
    corners = [(0.0, 0.0), (right, 0.0), (0.0, bottom), (right, bottom), (right / 2, bottom / 2)]
    return tuple(Box(left, top, left + w, top + h) for left, top in corners)


@dataclass
class CloserReport:
    """What one run did, in photos. `postponed`: those whose file is not there or cannot be read just now, by reason;
    the next run tries them again. `left`: still to be looked at, with these."""

    looked: int = 0
    postponed: Counter[str] = field(default_factory=Counter)
    left: int = 0
    seconds: float = 0.0
    stopped: bool = False


def look_closer(
    library: Library,
    embedder: "Embedder",
    *,
    batch: int = 4,
    workers: int | None = None,
    quiet: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> CloserReport:
    """The regions of all photos that this model has seen as a whole only.

    `batch`: photos through the model at once, five pictures each, and the most work a kill can lose. `workers`: threads
    that read and decode (None: one per processor). `stop` is asked after every photo; once true, what is in hand is
    finished and saved. Raises InputError where the library was not indexed with this model, CorruptLibrary.
    """
    if batch < 1 or (workers is not None and workers < 1):
        raise InputError("batch and workers are counts", why=f"got {batch} and {workers}", todo="give 1 or more")
    model = library.model(embedder.fingerprint)
    if model is None or not model.generation:
        raise InputError(
            f"no photo was indexed with {embedder.name} yet", todo="index first: isthmus photos index FOLDER"
        )
    start = time.monotonic()
    report = CloserReport()
    waiting = _waiting(library, model)
    threads = workers or os.cpu_count() or 1
    work = partial(_cut, Source(library), embedder.fit)
    ready: list[_Cut] = []
    if waiting and not stop():
        with progress("looking closer", len(waiting), "photos", quiet=quiet) as shown:
            for cut in ahead(work, waiting, threads, stop, in_hand=2 * batch + threads):
                if cut.reason:
                    report.postponed[cut.reason] += 1
                    shown.advance(1)
                else:
                    ready.append(cut)
                if len(ready) >= batch:
                    report.looked += _embed(library, embedder, model, ready, report)
                    shown.advance(len(ready))
                    ready.clear()
            report.looked += _embed(library, embedder, model, ready, report)
            shown.advance(len(ready))
    report.left = len(_waiting(library, model))
    report.stopped = stop() and report.left > 0
    report.seconds = time.monotonic() - start
    return report


@dataclass(frozen=True)
class _Cut:
    """A photo's regions, ready for the model. `reason`: why there are none."""

    photo: int
    views: tuple[Views, ...] = ()
    reason: str = ""


def _waiting(library: Library, model: Model) -> list[int]:
    rows = library.query(
        """SELECT v.photo FROM vectors v WHERE v.model = ?
        AND NOT EXISTS (SELECT 1 FROM regions r WHERE r.model = v.model AND r.photo = v.photo AND r.layout = ?)
        AND EXISTS (SELECT 1 FROM files f WHERE f.photo = v.photo AND f.gone_at IS NULL) ORDER BY v.photo""",
        (model.id, LAYOUT),
    )
    return [photo for (photo,) in rows]


def _cut(source: Source, fit: Fit, photo: int) -> _Cut:
    # The regions too shall have as many pixels as the Fit can use.
    at_least = None if fit.at_least is None else math.ceil(fit.at_least / SHARE)
    try:
        picture = source.picture(photo, at_least)
        return _Cut(photo, tuple(fit(_part(picture, box)) for box in boxes(picture.width, picture.height)))
    except NotThere as error:
        return _Cut(photo, reason=error.reason)
    except IsthmusError:  # of the library
        raise
    except Exception as error:  # noqa: BLE001 - one photo's trouble, and listed as such
        return _Cut(photo, reason=f"error: {type(error).__name__}")


def _part(picture: Picture, box: Box) -> Picture:
    """The box as a picture of its own, at least a pixel wide and high."""
    left, top, right, bottom = (round(edge) for edge in picture.within(box))
    width, height = picture.image.size
    left, top = min(left, width - 1), min(top, height - 1)
    part = picture.image.crop((left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))))
    return Picture(part, *part.size)


def _embed(library: Library, embedder: "Embedder", model: Model, cuts: Sequence[_Cut], report: CloserReport) -> int:
    """Saves what the model makes of them; how many it made something of."""
    if not cuts:
        return 0
    views = [view for cut in cuts for view in cut.views]
    vectors: NDArray[np.float32] = embedder.images(views).float().cpu().numpy()
    kept = 0
    with library.transaction() as database:
        for at, cut in enumerate(cuts):
            some = vectors[at * len(cut.views) : (at + 1) * len(cut.views)]
            if not np.isfinite(some).all():
                report.postponed["the model gave numbers that are not finite"] += 1
                continue
            blob = some.astype("<f2").tobytes()
            database.execute("DELETE FROM regions WHERE model = ? AND photo = ?", (model.id, cut.photo))
            database.execute(
                "INSERT INTO regions (photo, model, layout, vectors, crc) VALUES (?, ?, ?, ?, ?)",
                (cut.photo, model.id, LAYOUT, blob, zlib.crc32(blob)),
            )
            kept += 1
    return kept
