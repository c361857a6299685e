"""Look closer: five regions of each photo go through the model too, so that small things are found, and where.

A pass of its own, after indexing: a photo can be found by its whole at once, and better when this came to it.
"""

import math
import sqlite3
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError
from isthmus.images.views import Box, Fit, Picture, Views
from isthmus.photos.store import Library, Model
from isthmus.photos.through import Cut, Passed, through_model

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.photos.cluster import Cluster

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


def first_row(photos: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each row: the first of those of its photo, which lie together."""
    first = rows.copy()
    for _ in range(REGIONS - 1):
        back = (first > 0) & (photos[first - 1] == photos[rows])
        first = np.where(back, first - 1, first)
    return first


def look_closer(
    library: Library,
    embedder: "Embedder",
    *,
    batch: int = 4,
    workers: int | None = None,
    quiet: bool = False,
    stop: Callable[[], bool] = lambda: False,
    cluster: "Cluster | None" = None,
) -> Passed:
    """The regions of all photos that this model has seen as a whole only, five pictures each.

    `batch` and so on as in `through_model`. Raises InputError where the library was not indexed with this model,
    CorruptLibrary.
    """
    model = library.model(embedder.fingerprint)
    if model is None or not model.generation:
        raise InputError(
            f"no photo was indexed with {embedder.name} yet", todo="index first: isthmus photos index FOLDER"
        )
    return through_model(
        library,
        embedder,
        partial(_waiting, library, model),
        Cut(_views, _at_least),
        partial(_save, model),
        what="looking closer",
        batch=batch,
        workers=workers,
        quiet=quiet,
        stop=stop,
        cluster=cluster,
    )


def _waiting(library: Library, model: Model) -> list[int]:
    rows = library.query(
        """SELECT v.photo FROM vectors v WHERE v.model = ?
        AND NOT EXISTS (SELECT 1 FROM regions r WHERE r.model = v.model AND r.photo = v.photo AND r.layout = ?)
        AND EXISTS (SELECT 1 FROM files f WHERE f.photo = v.photo AND f.gone_at IS NULL) ORDER BY v.photo""",
        (model.id, LAYOUT),
    )
    return [photo for (photo,) in rows]


def _views(picture: Picture, fit: Fit) -> tuple[Views, ...]:
    return tuple(fit(part_of(picture, box)) for box in boxes(picture.width, picture.height))


def _at_least(fit: Fit) -> int | None:
    """The regions too shall have as many pixels as the Fit can use."""
    return None if fit.at_least is None else math.ceil(fit.at_least / SHARE)


def part_of(picture: Picture, box: Box) -> Picture:
    """The box as a picture of its own, at least a pixel wide and high."""
    left, top, right, bottom = (round(edge) for edge in picture.within(box))
    width, height = picture.image.size
    left, top = min(left, width - 1), min(top, height - 1)
    part = picture.image.crop((left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))))
    return Picture(part, *part.size)


def _save(model: Model, database: sqlite3.Connection, photo: int, vectors: NDArray[np.float16]) -> None:
    blob = vectors.tobytes()
    database.execute("DELETE FROM regions WHERE model = ? AND photo = ?", (model.id, photo))
    database.execute(
        "INSERT INTO regions (photo, model, layout, vectors, crc) VALUES (?, ?, ?, ?, ?)",
        (photo, model.id, LAYOUT, blob, zlib.crc32(blob)),
    )
