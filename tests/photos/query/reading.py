"""A query as one short line, in which the tables of sentences say what they expect.

Parts stand in the order of the sentence, joined by "; ":
  time 2019-05-01..2020-01-01   an interval, the end left out; open ends are empty; hours as T18
  time month 5,6 / day 5-3 / weekday 6 / hour 5-12 / festival easter    what recurs; several joined by " & "
  place Paris/FR, California^US, FR   a city, a region, a country; ~20 a radius in km that is not the city's own
  name, camera, kind, text, top, sort; "+ words" for the vector; "not ..." and "- words" for what is not wanted
  a "*" at the end: the words are in the vector text as well; "? words" at the very end: unsure
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import yaml

from isthmus.photos.query import parse
from isthmus.photos.query.gazetteer import city_radius
from isthmus.photos.query.model import (
    Camera,
    Chip,
    Count,
    Kind,
    Name,
    Names,
    Place,
    Places,
    Query,
    Sort,
    Text,
    Time,
    Vocabulary,
    Words,
)

NOW = datetime(2024, 7, 17, 15, 30)  # a Wednesday
VOCABULARY = Vocabulary(
    names=(
        Name("Rex"), Name("Anna", ("安娜",)), Name("Grandma", ("奶奶", "my grandmother")), Name("小明"), Name("豆豆"),
        Name("May"), Name("Will"), Name("Mary"), Name("Mary Ann"),
    ),
    cameras=(
        Camera("Canon", "EOS R5"), Camera("Apple", "iPhone 12"), Camera("FUJIFILM", "X100V"),
        Camera("SONY", "ILCE-7M4"),
    ),
)  # fmt: skip
SENTENCES = Path(__file__).parent / "sentences"


def tables() -> Iterator[tuple[str, str, str]]:
    """Topic, sentence, expected reading."""
    for path in sorted(SENTENCES.glob("*.yaml")):
        for sentence, expected in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            yield path.stem, str(sentence), str(expected)


def read(sentence: str) -> str:
    return reading(parse(sentence, NOW, vocabulary=VOCABULARY))


def reading(query: Query) -> str:
    parts = [_chip(chip) for chip in query.chips]
    return "; ".join(parts + [f"? {unsure.text}" for unsure in query.unsure])


def _chip(chip: Chip) -> str:
    value = chip.value
    if isinstance(value, Words):
        return ("- " if chip.negative else "+ ") + value.text
    if isinstance(value, Time):
        words = "time " + _time(value)
    elif isinstance(value, Places):
        words = "place " + "|".join(map(_place, value.any_of))
    elif isinstance(value, Names):
        words = "name " + "|".join(value.any_of)
    elif isinstance(value, Camera):
        words = f"camera {value.maker} {value.model}".strip()
    elif isinstance(value, Kind):
        words = "kind " + "|".join(value.any_of)
    elif isinstance(value, Text):
        words = "text " + value.text
    elif isinstance(value, Count):
        words = f"top {value.number}"
    else:
        assert isinstance(value, Sort)
        words = f"sort {value.by}"
    return ("not " if chip.negative else "") + words + ("*" if chip.keep_words else "")


def _time(time: Time) -> str:
    parts = []
    if time.intervals:
        parts.append("|".join(f"{_moment(i.start)}..{_moment(i.end)}" for i in time.intervals))
    if time.months:
        parts.append("month " + ",".join(map(str, time.months)))
    if len(time.days) > 3:
        parts.append("day {}-{}..{}-{}".format(*time.days[0], *time.days[-1]))
    elif time.days:
        parts.append("day " + ",".join(f"{month}-{day}" for month, day in time.days))
    if time.weekdays:
        parts.append("weekday " + ",".join(map(str, time.weekdays)))
    if time.hours:
        parts.append("hour " + ",".join(f"{start}-{end}" for start, end in time.hours))
    if time.festivals:
        parts.append("festival " + ",".join(time.festivals))
    return " & ".join(parts)


def _moment(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return moment.date().isoformat() + (f"T{moment.hour:02}" if moment.hour else "")


def _place(place: Place) -> str:
    if place.kind == "country":
        return place.code
    country = place.code.split(".")[0]
    own = place.radius_km is None or place.radius_km == city_radius(place.population)
    return f"{place.name}{'^' if place.kind == 'region' else '/'}{country}" + ("" if own else f"~{place.radius_km:g}")
