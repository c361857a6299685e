"""Coordinates to places: the town one is in, else the nearest, else none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.photos.query.gazetteer import gazetteer
from isthmus.photos.query.nearest import nearest


@pytest.mark.parametrize(
    ("latitude", "longitude", "name", "code"),
    [
        (48.858, 2.294, "Paris", "FR.11."),  # not one of its arrondissements
        (47.590, 7.590, "Basel", "CH."),  # nearer to a town in France
        (31.240, 121.490, "Shanghai", "CN.23."),
        (-33.857, 151.215, "Sydney", "AU.02."),
        (40.689, -74.045, "New York City", "US.NY."),  # on the side of New Jersey
        (64.140, -21.900, "Reykjavík", "IS."),
        (-18.150, 178.440, "Suva", "FJ."),
    ],
)
def test_the_town_it_is_in(latitude: float, longitude: float, name: str, code: str) -> None:
    found = nearest(latitude, longitude)
    assert found is not None
    assert (found.name, found.code[: len(code)]) == (name, code)


def test_it_is_told_in_chinese_too() -> None:
    found = nearest(31.24, 121.49, "zh")
    assert found is not None and found.name == "上海"


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, -30.0), (-80.0, 0.0), (90.0, 12.0), (35.0, -150.0)])
def test_at_sea_and_on_the_ice_there_is_none(latitude: float, longitude: float) -> None:
    assert nearest(latitude, longitude) is None


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_both_ways_around_the_earth_are_one(latitude: float, longitude: float) -> None:
    """The date line and the poles are no edges."""
    assert nearest(latitude, longitude) == nearest(latitude, longitude - 360)


def test_every_town_is_in_itself_or_in_one_that_holds_it() -> None:
    known = gazetteer()
    for line in list(known.towns())[::97]:
        town = known.place(line, "en")
        assert town.latitude is not None and town.longitude is not None
        found = nearest(town.latitude, town.longitude)
        assert found is not None
        assert found.population >= town.population
