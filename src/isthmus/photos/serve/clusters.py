"""Where the found photos were taken, those near each other as one, for a map of some scale."""

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.facts import Facts
from isthmus.photos.serve.answers import ClusterAnswer, MapAnswer
from isthmus.photos.serve.asked import within
from isthmus.photos.serve.lookup import rows_of

CELLS = 4
"""Clusters side by side in a map tile of 256 points: at zoom 0 the world is one such tile."""

NORTHMOST = 85.0
"""Degrees. The Mercator map of the web ends there."""

MOST = 2000
"""Clusters in one answer."""


def clusters(
    photos: NDArray[np.int64], facts: Facts, zoom: int, view: tuple[float, float, float, float] | None
) -> MapAnswer:
    """photos [N] in their order; `view`: south, west, north, east, outside of which nothing is answered."""
    rows, known = rows_of(facts, photos)
    if not known.any():
        return MapAnswer(placed=0, clusters=[])
    placed = known & ~(np.isnan(facts.latitude[rows]) | np.isnan(facts.longitude[rows]))
    count = int(placed.sum())
    if view is not None:
        placed &= within(facts, view)[rows]
    places = np.flatnonzero(placed)
    if not len(places):
        return MapAnswer(placed=count, clusters=[])
    latitude, longitude = facts.latitude[rows[places]], facts.longitude[rows[places]]
    x, y = mercator(latitude, longitude)
    across = CELLS * 2**zoom
    cell = np.floor(y * across).astype(np.int64) * across + np.floor(x * across).astype(np.int64) % across
    _, first, which, counts = np.unique(cell, return_index=True, return_inverse=True, return_counts=True)
    mean_latitude = np.bincount(which, latitude) / counts
    mean_longitude = np.bincount(which, longitude) / counts
    edges = [np.full(len(counts), limit) for limit in (np.inf, np.inf, -np.inf, -np.inf)]
    for at, reduce, values in ((0, np.minimum, latitude), (1, np.minimum, longitude),
                               (2, np.maximum, latitude), (3, np.maximum, longitude)):  # fmt: skip
        reduce.at(edges[at], which, values)
    largest = np.argsort(-counts, kind="stable")[:MOST]
    return MapAnswer(
        placed=count,
        clusters=[
            ClusterAnswer(
                count=int(counts[at]),
                photo=int(photos[places[first[at]]]),
                latitude=float(mean_latitude[at]),
                longitude=float(mean_longitude[at]),
                south=float(edges[0][at]),
                west=float(edges[1][at]),
                north=float(edges[2][at]),
                east=float(edges[3][at]),
            )
            for at in largest
        ],
    )


def mercator(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x, y [N] in 0..1, from the left and the top of the world map (EPSG:3857); degrees in."""
    north = np.radians(np.clip(latitude, -NORTHMOST, NORTHMOST))
    return longitude / 360 + 0.5, 0.5 - np.log(np.tan(np.pi / 4 + north / 2)) / (2 * np.pi)
