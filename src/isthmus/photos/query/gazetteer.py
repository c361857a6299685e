"""Names of countries, regions and cities to places, offline. Loaded at the first question, not at import."""

import gzip
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from math import sqrt

from isthmus.photos.query.fold import plain
from isthmus.photos.query.model import Place

LONGEST = 6
"""Words in the longest name that is looked for."""

LONGEST_HAN = 12
"""Characters in the longest Chinese name."""

KINDS: dict[str, tuple[int, str]] = {"C": (0, "country"), "R": (1, "region"), "P": (2, "city")}


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

        A city and the region or country around it that bear one name are one place where the city is most of it:
        then the larger is given.
        """
        found = [self._place(self._lines[n], language) for n in self._by_name.get(plain(folded), ())]
        found.sort(key=lambda place: (-place.population, place.code))
        return tuple(place for place in found if not any(_is_most_of(place, other) for other in found))



    @staticmethod
    def _place(line: str, language: str) -> Place:
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


def _is_most_of(inner: Place, outer: Place) -> bool:
    return contains(outer, inner) and 2 * inner.population > outer.population


@cache
def gazetteer() -> Gazetteer:
    packed = files("isthmus.photos.query").joinpath("places.tsv.gz").read_bytes()
    return Gazetteer(gzip.decompress(packed).decode().splitlines())


def candidates(folded: str, start: int, ends: list[int]) -> Iterator[tuple[int, str]]:
    """Longest first: the ends in `ends` at which a name that begins at `start` is known, with the name."""
    known = gazetteer()
    for end in reversed(ends):
        name = folded[start:end]
        if name in known:
            yield end, name
