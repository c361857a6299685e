"""Festivals are on the days that published calendars give."""

from datetime import date, timedelta

import pytest

from isthmus.photos.query.festivals import CHINESE, ENGLISH, FESTIVALS, interval


@pytest.mark.parametrize(
    ("name", "year", "first"),
    [
        ("easter-sunday", 2000, date(2000, 4, 23)),
        ("easter-sunday", 2024, date(2024, 3, 31)),
        ("easter", 2019, date(2019, 4, 19)),
        ("thanksgiving", 2023, date(2023, 11, 23)),
        ("mothers-day", 2022, date(2022, 5, 8)),
        ("lunar-new-years-day", 1985, date(1985, 2, 20)),
        ("lunar-new-years-day", 2024, date(2024, 2, 10)),
        ("mid-autumn-festival", 2020, date(2020, 10, 1)),
        ("dragon-boat-festival", 2023, date(2023, 6, 22)),
        ("qingming", 2021, date(2021, 4, 4)),
        ("double-ninth", 2022, date(2022, 10, 4)),
    ],
)
def test_a_festival_begins_on_its_day(name: str, year: int, first: date) -> None:
    found = interval(name, year)
    assert found is not None
    assert found[0] == first


@pytest.mark.parametrize("name", FESTIVALS)
def test_every_year_has_it_once(name: str) -> None:
    for year in range(1950, 2100):
        found = interval(name, year)
        assert found is not None
        assert found[0].year == year
        assert found[1] - found[0] == timedelta(days=FESTIVALS[name].days)


def test_outside_the_known_calendar_there_is_none() -> None:
    assert interval("spring-festival", 1800) is None
    assert interval("christmas", 0) is None


def test_every_name_leads_to_a_festival() -> None:
    assert set(ENGLISH.values()) | set(CHINESE.values()) <= set(FESTIVALS)
