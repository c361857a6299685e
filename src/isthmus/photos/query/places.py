"""Places as conditions: what both languages share once a name of the gazetteer is found."""

from dataclasses import dataclass, replace

from isthmus.photos.query.found import Found
from isthmus.photos.query.gazetteer import cities_named, contains
from isthmus.photos.query.model import Alternative, Place, Places

BIG, VERY_BIG = 100_000, 300_000
"""Inhabitants a city must have to be meant without a preposition: written with a capital, or without."""

MOST = 8
"""Places in one list."""

NEAR_KM = 25.0
"""The least radius of "near"."""


@dataclass(frozen=True)
class Named:
    """A place name found at a place in the text."""

    start: int
    end: int
    name: str
    places: tuple[Place, ...]


def centred(places: tuple[Place, ...], name: str, language: str) -> tuple[Place, ...]:
    """ "near Beijing" is counted from the city, though "in Beijing" is all of the municipality."""
    if places[0].radius_km is not None:
        return ()
    cities = cities_named(name, language)
    return tuple(city for city in cities if contains(places[0], city))


def build(
    start: int, end: int, any_of: list[Place], others: tuple[Place, ...], radius: float | None, note: str,
    core: tuple[int, int],
) -> Found:  # fmt: skip
    chosen = [_with_radius(place, radius) for place in any_of]
    alternatives = tuple(Alternative(describe(place), Places((_with_radius(place, radius),))) for place in others[1:6])
    value = Places(tuple(dict.fromkeys(chosen)))
    return Found(start, end, value, core=core, keep_words=bool(note), note=note, alternatives=alternatives)


def _with_radius(place: Place, radius: float | None) -> Place:
    if radius is None or place.radius_km is None:
        return place
    return replace(place, radius_km=radius or max(NEAR_KM, round(2 * place.radius_km, 1)))


def describe(place: Place) -> str:
    """The name with what it is in, to tell places of one name apart."""
    if place.kind == "country":
        return place.name
    return f"{place.name} ({'.'.join(place.code.split('.')[:2]) if place.kind == 'city' else place.code})"
