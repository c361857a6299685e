"""Names of countries, regions and cities to places, offline. Loaded at the first question, not at import."""

import gzip
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from math import sqrt

from isthmus.photos.query.fold import plain
from isthmus.photos.query.model import Place

CITY_STATES = frozenset({"CN.22", "CN.23", "CN.28", "CN.33", "SG", "HK", "MO", "MC", "VA", "GI"})
"""Where the city and what is around it are one: the four municipalities of China, Singapore, Hong Kong, ..."""

LONGEST = 6
"""Words in the longest name that is looked for."""

LONGEST_HAN = 12
"""Characters in the longest Chinese name."""


class Gazetteer:
    """All places by all their names. 38,000 places; the lines are taken apart only when one is asked for."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._by_name: dict[str, list[int]] = {}
        for number, line in enumerate(lines):
            for name in line[line.rindex("\t") + 1 :].split("|"):
                self._by_name.setdefault(name, []).append(number)

    def __contains__(self, folded: str) -> bool:
        return plain(folded) in self._by_name

    def find(self, folded: str, language: str = "en") -> tuple[Place, ...]:
        """The places of that name (as `fold` gives it), the most populous first.

        A city comes before the region around it that bears its name if a fifth of the region lives there: "Kyoto" is
        the city, "Quebec" the province. Where the two are one (Beijing, Singapore) only the larger is given.
        """
        found = [self.place(self._lines[n], language) for n in self._by_name.get(plain(folded), ())]
        found.sort(key=lambda place: (-place.population, place.code))
        found = [place for place in found if not any(_is_one(place, outer) for outer in found)]
        return tuple(sorted(found, key=lambda p: p.kind == "region" and any(_is_heart(inner, p) for inner in found)))

    def cities(self, folded: str, language: str = "en") -> tuple[Place, ...]:
        """Only those that have a centre, for a distance to be counted from; the most populous first."""
        found = [self.place(self._lines[n], language) for n in self._by_name.get(plain(folded), ())]
        return tuple(sorted((p for p in found if p.radius_km), key=lambda place: (-place.population, place.code)))

    def towns(self) -> Iterator[str]:
        """The lines of all that have a centre, for `place`."""
        return (line for line in self._lines if line[0] == "P")

    def countries(self, language: str = "en") -> Iterator[Place]:
        return (self.place(line, language) for line in self._lines if line[0] == "C")

    @staticmethod
    def place(line: str, language: str) -> Place:
        """What a line of the table says."""
        letter, code, english, chinese, latitude, longitude, population, _ = line.split("\t")
        people = int(population)
        name = chinese if language == "zh" and chinese else english
        if letter == "C":
            return Place(name, "country", code, population=people)
        if letter == "R":
            return Place(name, "region", code, population=people)
        return Place(name, "city", code, float(latitude), float(longitude), city_radius(people), people)


def city_radius(population: int) -> float:
    """Kilometres around the centre that count as in the city: 5 to 40, with the root of its population."""
    return round(min(40.0, max(5.0, 0.02 * sqrt(population))), 1)


def contains(outer: Place, inner: Place) -> bool:
    """By their codes: a country holds its regions and cities, a region its cities."""
    return outer.kind != "city" and inner.code.startswith(outer.code + ".")


def _is_heart(inner: Place, outer: Place) -> bool:
    return inner.kind == "city" and contains(outer, inner) and 5 * inner.population > outer.population


def _is_one(inner: Place, outer: Place) -> bool:
    most = 2 * inner.population > outer.population
    return contains(outer, inner) and (outer.code in CITY_STATES or (outer.kind == "country" and most))


@cache
def gazetteer() -> Gazetteer:
    packed = files("isthmus.photos.query").joinpath("places.tsv.gz").read_bytes()
    return Gazetteer(gzip.decompress(packed).decode().splitlines())


@lru_cache(2048)
def places_named(folded: str, language: str) -> tuple[Place, ...]:
    """`Gazetteer.find`, remembered: the rules ask for one name several times."""
    return gazetteer().find(folded, language)


@lru_cache(256)
def cities_named(folded: str, language: str) -> tuple[Place, ...]:
    return gazetteer().cities(folded, language)


def candidates(folded: str, start: int, ends: list[int]) -> Iterator[tuple[int, str]]:
    """Longest first: the ends in `ends` at which a name that begins at `start` is known, with the name."""
    known = gazetteer()
    for end in reversed(ends):
        name = folded[start:end]
        if name in known:
            yield end, name
