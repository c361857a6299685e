"""Conditions against photos one at a time, as a person would check them."""

import math
from calendar import monthrange
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.photos.facts import KINDS, PRECISIONS, Fact, Facts, Mask
from isthmus.photos.filter import distance_km, fitting, of_kind, taken_at, taken_in, taken_with
from isthmus.photos.query import parse
from isthmus.photos.query.festivals import FESTIVALS, interval
from isthmus.photos.query.model import Camera, Interval, Name, PhotoKind, Place, Time, Vocabulary

NOW = datetime(2024, 7, 17, 12)
MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2030, 12, 31)).map(lambda moment: moment.replace(microsecond=0))


@st.composite
def fact(draw: st.DrawFn) -> Fact:
    taken = draw(st.none() | MOMENTS)
    precision = draw(st.integers(0, 3))
    if taken is not None and precision:
        taken = datetime(taken.year, taken.month if precision < 3 else 1, taken.day if precision < 2 else 1)
    return Fact(0, taken, PRECISIONS[precision])


@st.composite
def times(draw: st.DrawFn) -> Time:
    some = draw(st.lists(st.tuples(MOMENTS, MOMENTS), max_size=2))
    ends = draw(st.sampled_from(["both", "start", "end"]))
    intervals = tuple(
        Interval(min(pair) if ends != "end" else None, max(pair) if ends != "start" else None) for pair in some
    )
    return Time(
        intervals,
        months=tuple(draw(st.sets(st.integers(1, 12), max_size=6))),
        days=tuple(draw(st.sets(st.tuples(st.integers(1, 12), st.integers(1, 28)), max_size=40))),
        weekdays=tuple(draw(st.sets(st.integers(0, 6), max_size=4))),
        hours=tuple(draw(st.sampled_from([(), ((6, 12),), ((18, 24), (0, 5))]))),
        festivals=tuple(draw(st.sets(st.sampled_from(sorted(FESTIVALS)), max_size=2))),
    )


def by_hand(time: Time, one: Fact) -> bool:
    """Every second the photo may have been taken at satisfies it; only the two ends and midnights are looked at."""
    if one.taken is None:
        return False
    precision = PRECISIONS.index(one.precision)
    year = (datetime(one.taken.year + 1, 1, 1) - one.taken).days
    days = (0, 1, monthrange(one.taken.year, one.taken.month)[1], year)[precision]
    last = one.taken + timedelta(days=days) - timedelta(seconds=1) if days else one.taken
    if time.intervals and not any(
        (i.start is None or i.start <= one.taken) and (i.end is None or last < i.end) for i in time.intervals
    ):
        return False
    if time.months and not (precision <= 2 and one.taken.month in time.months):
        return False
    if time.days and not (precision <= 1 and (one.taken.month, one.taken.day) in time.days):
        return False
    if time.weekdays and not (precision <= 1 and one.taken.weekday() in time.weekdays):
        return False
    if time.hours and not (precision == 0 and any(a <= one.taken.hour < b for a, b in time.hours)):
        return False
    if not time.festivals:
        return True
    spans = [interval(name, one.taken.year) for name in time.festivals]
    return precision <= 1 and any(span is not None and span[0] <= one.taken.date() < span[1] for span in spans)


@given(st.lists(fact(), max_size=30), times())
def test_times_are_what_a_person_would_say(some: list[Fact], time: Time) -> None:
    facts = Facts.of([Fact(at, one.taken, one.precision) for at, one in enumerate(some)])
    assert taken_at(time, facts).tolist() == [by_hand(time, one) for one in some]


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))  # of vectors on a sphere
def test_distance_is_the_angle_between_two_directions(a: float, b: float, c: float, d: float) -> None:
    def direction(latitude: float, longitude: float) -> np.ndarray:
        here, east = math.radians(latitude), math.radians(longitude)
        return np.array([math.cos(here) * math.cos(east), math.cos(here) * math.sin(east), math.sin(here)])

    one, other = direction(a, b), direction(c, d)
    angle = math.atan2(float(np.linalg.norm(np.cross(one, other))), float(one @ other))
    assert distance_km(np.array([a]), np.array([b]), c, d)[0] == pytest.approx(6371 * angle, abs=1e-3)


def test_a_city_is_a_circle_and_a_country_a_code() -> None:
    facts = Facts.of(
        [
            Fact(1, latitude=48.86, longitude=2.35, code="FR.11"),  # Paris
            Fact(2, latitude=48.80, longitude=2.13, code="FR.11"),  # Versailles
            Fact(3, latitude=43.30, longitude=5.37, code="FR.93"),  # Marseille
            Fact(4, code=""),
            Fact(5, latitude=0.0, longitude=0.0, code="FRX"),
        ]
    )
    paris = Place("Paris", "city", "FR.11.1", 48.853, 2.349, 10.0)
    assert taken_in(paris, facts).tolist() == [True, False, False, False, False]
    assert taken_in(Place("France", "country", "FR"), facts).tolist() == [True, True, True, False, False]
    assert taken_in(Place("Île-de-France", "region", "FR.11"), facts).tolist() == [True, True, False, False, False]


def test_cameras_are_compared_by_whole_words() -> None:
    known = [("Apple", "iPhone 12"), ("Apple", "iPhone 12 Pro"), ("NIKON CORPORATION", "NIKON D80"),
             ("", "Canon EOS 5D Mark IV"), ("", "")]  # fmt: skip
    facts = Facts.of([Fact(at, maker=maker, model=model) for at, (maker, model) in enumerate(known)])

    def found(maker: str = "", model: str = "") -> list[int]:
        return np.flatnonzero(taken_with(Camera(maker, model), facts)).tolist()

    assert found(model="iphone 12") == [0, 1]
    assert found(model="iPhone 1") == []
    assert found("Nikon") == [2]
    assert found("Canon", "eos 5d") == [3]
    assert found("Apple", "EOS 5D") == []


def test_only_photos_are_neither_videos_nor_screenshots() -> None:
    said: list[frozenset[PhotoKind]] = [frozenset(), frozenset({"selfie"}), frozenset({"video"}), frozenset({"raw"}),
                                        frozenset({"screenshot", "panorama"})]  # fmt: skip
    facts = Facts.of([Fact(at, kinds=kinds) for at, kinds in enumerate(said)])
    assert of_kind("photo", facts).tolist() == [True, True, False, True, False]
    for kind in set(KINDS) - {"photo"}:
        assert of_kind(kind, facts).tolist() == [kind in kinds for kinds in said]


def of(*numbers: int) -> Mask:
    return np.isin(np.arange(6), numbers)


def test_a_sentence_filters() -> None:
    facts = Facts.of(
        [
            Fact(0, datetime(2019, 7, 4, 10), latitude=48.86, longitude=2.35, code="FR.11"),
            Fact(1, datetime(2019, 7, 4, 10), latitude=51.5, longitude=-0.12, code="GB.ENG"),
            Fact(2, datetime(2020, 7, 4, 10), latitude=48.86, longitude=2.35, code="FR.11"),
            Fact(3, datetime(2019, 1, 1), "year", latitude=48.86, longitude=2.35, code="FR.11"),
            Fact(4, datetime(2019, 8, 1), kinds=frozenset({"screenshot"})),
            Fact(5),
        ]
    )
    rex = Vocabulary(names=(Name("Rex"),))

    def found(sentence: str) -> list[int]:
        query = parse(sentence, NOW, vocabulary=rex)
        mask = fitting(query, facts, named=lambda _: of(0, 1), reads=lambda text: of(4) if text == "EXIT" else of())
        return np.flatnonzero(mask).tolist()

    assert found("a red car in Paris in summer 2019") == [0]
    assert found("在巴黎，2019年夏天的红色汽车") == [0]
    assert found("dogs in 2019") == [0, 1, 3, 4]
    assert found("dogs in 2019, not in Paris") == [1, 4]
    assert found("screenshots from 2019") == [4]
    assert found("Rex in France") == [0]
    assert found("without Rex") == [2, 3, 4, 5]
    assert found('"EXIT"') == [4]
    assert found("a dog") == [0, 1, 2, 3, 4, 5]


def test_no_photos_at_all() -> None:
    facts = Facts.of([])
    query = parse("a red car in Paris on Christmas 2019 taken with a Canon", NOW)
    assert fitting(query, facts, named=lambda _: np.zeros(0, bool), reads=lambda _: np.zeros(0, bool)).shape == (0,)
