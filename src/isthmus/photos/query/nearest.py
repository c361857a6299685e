"""Which town it is: coordinates to a place of the gazetteer, offline."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.query.gazetteer import gazetteer
from isthmus.photos.query.model import Place

REACH_KM = 100.0
"""Beyond this from every town of 15,000 people, it is not said whose land or sea it is."""

EARTH_KM = 6371.0


def nearest(latitude: float, longitude: float, language: str = "en") -> Place | None:
    """The most populous town that it lies in (Basel rather than its suburb across the border), else the nearest within
    REACH_KM, with country and region in `code`; None where there is none. Degrees.

    Towns alone decide: in the country, within some kilometres of a border, it may be the wrong side.
    """
    towns = _towns()
    near = towns.directions @ _directions(np.array([latitude]), np.array([longitude]))[0]
    inside = np.flatnonzero(near >= towns.edges)
    at = int(inside[np.argmax(towns.people[inside])]) if len(inside) else int(np.argmax(near))
    if near[at] < np.cos(REACH_KM / EARTH_KM):
        return None
    return gazetteer().place(towns.lines[at], language)


@dataclass(frozen=True)
class _Towns:
    """directions [N, 3], from the middle of the earth; edges [N], the cosine of each radius; people [N]."""

    lines: tuple[str, ...]
    directions: NDArray[np.float64]
    edges: NDArray[np.float64]
    people: NDArray[np.int64]


@cache
def _towns() -> _Towns:
    known = gazetteer()
    lines = tuple(known.towns())
    places = [known.place(line, "en") for line in lines]
    latitude, longitude, radius = (
        np.array([getattr(place, name) for place in places], np.float64)
        for name in ("latitude", "longitude", "radius_km")
    )
    people = np.array([place.population for place in places], np.int64)
    return _Towns(lines, _directions(latitude, longitude), np.cos(radius / EARTH_KM), people)


def _directions(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N], degrees -> [N, 3], of unit length."""
    north, east = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)
