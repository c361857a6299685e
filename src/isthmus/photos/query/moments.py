"""Moments as people name them, in either language, and the time they mean.

The grammars of both languages end in a `Moment`: "May" with no year, "last summer", "two weeks ago". It stays
unresolved while "from May to August 2019" is read, because the year may come from the other end.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from isthmus.photos.query import festivals
from isthmus.photos.query.model import Interval, Settings, Time
from isthmus.photos.query.portions import Portion, add_months, part_of

Which = Literal["last", "this", "next", ""]
Unit = Literal["day", "week", "month", "year", "decade", "weekend"]
SEASONS = ("spring", "summer", "autumn", "winter")


class NoSuchDate(Exception):
    """The words name a date that does not exist; the text says why. `end`: where those words end."""

    def __init__(self, reason: str, end: int = 0) -> None:
        super().__init__(reason)
        self.end = end


@dataclass(frozen=True)
class Moment:
    """What was said; fields not said are empty.

    `which` is last, this or next of what comes every year or week; `which_back` counts further back. `ago` counts
    `unit`s back from now (0 this one, negative to come); `rolling` means the last `ago` units up to now. `year_ago` is
    a year said relatively; `week_ago` places a weekday in a week. `part` are hours of the day. `lunar` is month and day
    of the Chinese calendar.
    """

    year: int | None = None
    year_ago: int | None = None
    decade: int | None = None
    month: int | None = None
    day: int | None = None
    season: str = ""
    festival: str = ""
    weekday: int | None = None
    week_ago: int | None = None
    which: Which = ""
    which_back: int = 1
    unit: Unit | None = None
    ago: int = 0
    rolling: bool = False
    portion: Portion = ""
    part: tuple[tuple[int, int], ...] = ()
    lunar: tuple[int, int] | None = None

    @property
    def has_year(self) -> bool:
        return self.year is not None or self.year_ago is not None or self.decade is not None or bool(self.which)

    @property
    def is_fixed(self) -> bool:
        """It is one interval, not something of every year."""
        return self.has_year or self.unit is not None or self.week_ago is not None


def resolve(moment: Moment, now: datetime, settings: Settings) -> Time:
    """The time a moment means. Raises NoSuchDate."""
    try:
        time = _resolve(moment, now, settings)
    except (OverflowError, ValueError) as error:
        raise NoSuchDate("no such date") from error
    if moment.part:
        time = _with_part(time, moment.part)
    return time


def with_part(moment: Moment, part: tuple[tuple[int, int], ...]) -> Moment:
    return replace(moment, part=part)


def span(moment: Moment, now: datetime, settings: Settings) -> Interval | None:
    """The one interval a moment is; None where it is something of every year. Raises NoSuchDate."""
    time = resolve(moment, now, settings)
    only = time.intervals[0] if len(time.intervals) == 1 else None
    return only if only and time == Time(intervals=(only,)) else None


def _resolve(moment: Moment, now: datetime, settings: Settings) -> Time:
    today = now.date()
    if moment.unit:
        return _days(*part_of(_unit(moment, today, settings), moment.portion))
    if moment.decade is not None:
        first = moment.decade
        return _days(*part_of((date(first, 1, 1), date(first + 10, 1, 1)), moment.portion))
    year = moment.year if moment.year_ago is None else today.year - moment.year_ago
    if moment.weekday is not None:
        return _weekday(moment, today, settings)
    if moment.lunar:
        return _lunar(moment, year)
    if moment.festival:
        return _festival(moment, year, today)
    if moment.season:
        return _season(moment, year, today, settings)
    if moment.month is None and moment.day is not None:
        return _month(replace(moment, month=today.month), today.year, today)
    if moment.month is not None:
        return _month(moment, year, today)
    assert year is not None
    return _days(*part_of((date(year, 1, 1), date(year + 1, 1, 1)), moment.portion))


def _days(start: date, end: date) -> Time:
    return Time(intervals=(Interval(_midnight(start), _midnight(end)),))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _unit(moment: Moment, today: date, settings: Settings) -> tuple[date, date]:
    ago = moment.ago
    if moment.rolling:
        tomorrow = today + timedelta(days=1)
        if moment.unit in ("day", "week"):
            return tomorrow - timedelta(days=ago * (7 if moment.unit == "week" else 1)), tomorrow
        return add_months(tomorrow, -ago * (12 if moment.unit == "year" else 1)), tomorrow
    if moment.unit == "day":
        return today - timedelta(days=ago), today - timedelta(days=ago - 1)
    if moment.unit in ("week", "weekend"):
        start = today - timedelta(days=(today.weekday() - settings.week_starts) % 7 + 7 * ago)
        if moment.unit == "week":
            return start, start + timedelta(days=7)
        monday = today - timedelta(days=today.weekday() + 7 * ago)
        return monday + timedelta(days=5), monday + timedelta(days=7)
    if moment.unit == "month":
        start = add_months(today.replace(day=1), -ago)
        return start, add_months(start, 1)
    if moment.unit == "decade":
        first = today.year // 10 * 10 - 10 * ago
        return date(first, 1, 1), date(first + 10, 1, 1)
    return date(today.year - ago, 1, 1), date(today.year - ago + 1, 1, 1)


def _every_day(days: tuple[date, date]) -> Time:
    """Those days of every year."""
    start, end = days
    each = [start + timedelta(days=n) for n in range((end - start).days)]
    return Time(days=tuple((day.month, day.day) for day in each))


def _weekday(moment: Moment, today: date, settings: Settings) -> Time:
    assert moment.weekday is not None
    if not moment.which and moment.week_ago is None:
        return Time(weekdays=(moment.weekday,))
    week = today - timedelta(days=(today.weekday() - settings.week_starts) % 7)
    day = week + timedelta(days=(moment.weekday - settings.week_starts) % 7)
    if moment.week_ago is not None:
        day -= timedelta(days=7 * moment.week_ago)
    elif moment.which == "last":
        # "last Sunday" is the most recent one, 上周日 that of the week before.
        day = today - timedelta(days=(today.weekday() - moment.weekday - 1) % 7 + 1)
    elif moment.which == "next":
        day += timedelta(days=7)
    return _days(day, day + timedelta(days=1))


def _occurrence(starts: list[tuple[date, date]], which: str, back: int, today: date) -> tuple[date, date]:
    """Of the same thing in successive years: the one now or nearest, the last that is over, the next."""
    if which == "last":
        return [days for days in starts if days[1] <= today][-back]
    return next(days for days in starts if days[0] > today)


def _festival(moment: Moment, year: int | None, today: date) -> Time:
    name = moment.festival
    if moment.which == "this":
        year = today.year
    if year is not None:
        days = festivals.interval(name, year)
        if days is None:
            raise NoSuchDate(f"the calendar of {year} is not known")
        return _days(*days)
    if moment.which:
        near = [festivals.interval(name, y) for y in range(today.year - 4, today.year + 3)]
        return _days(*_occurrence([days for days in near if days], moment.which, moment.which_back, today))
    return Time(festivals=(name,))


def _season(moment: Moment, year: int | None, today: date, settings: Settings) -> Time:
    index = SEASONS.index(moment.season)
    first = (3 + 3 * index + (6 if settings.hemisphere == "south" else 0) - 1) % 12 + 1

    def days(year: int) -> tuple[date, date]:
        return date(year, first, 1), add_months(date(year, first, 1), 3)

    if year is not None:
        return _days(*part_of(days(year), moment.portion))
    if moment.which == "this":
        # In January, "this winter" began last year.
        running = [days(y) for y in (today.year - 1, today.year)]
        return _days(*part_of(running[0] if today < running[0][1] else running[1], moment.portion))
    if moment.which:
        near = [days(y) for y in range(today.year - 5, today.year + 3)]
        return _days(*part_of(_occurrence(near, moment.which, moment.which_back, today), moment.portion))
    months = [(first - 1 + n) % 12 + 1 for n in range(3)]
    if moment.portion:
        return _every_day(part_of(days(2000), moment.portion))
    return Time(months=tuple(sorted(months)))


def _month(moment: Moment, year: int | None, today: date) -> Time:
    month, day = moment.month, moment.day
    assert month is not None
    if not 1 <= month <= 12:
        raise NoSuchDate("there is no such month")

    def days(year: int) -> tuple[date, date]:
        start = date(year, month, 1)
        return start, add_months(start, 1)

    if day is not None:
        longest = 29 if month == 2 else (days(2001)[1] - days(2001)[0]).days
        if not 1 <= day <= longest or (year is not None and day > (days(year)[1] - days(year)[0]).days):
            raise NoSuchDate("the month has no such day")
        if moment.which == "this":
            year = today.year
        if year is None and moment.which == "last":
            year = today.year if (month, day) < (today.month, today.day) else today.year - 1
        if year is not None:
            return _days(date(year, month, day), date(year, month, day) + timedelta(days=1))
        return Time(days=((month, day),))
    if moment.which == "this":
        year = today.year
    if year is not None:
        return _days(*part_of(days(year), moment.portion))
    if moment.which:
        near = [days(y) for y in range(today.year - 5, today.year + 3)]
        return _days(*part_of(_occurrence(near, moment.which, moment.which_back, today), moment.portion))
    if moment.portion:
        return _every_day(part_of(days(2000), moment.portion))
    return Time(months=(month,))


def _lunar(moment: Moment, year: int | None) -> Time:
    assert moment.lunar is not None
    if year is None:
        raise NoSuchDate("a lunar date needs a year")
    day = festivals.lunar(year, *moment.lunar)
    if day is None:
        raise NoSuchDate("there is no such lunar date")
    return _days(day, day + timedelta(days=1))


def _with_part(time: Time, part: tuple[tuple[int, int], ...]) -> Time:
    """Hours of one day become one interval, so that the night of a day goes on after midnight."""
    only = time.intervals[0] if len(time.intervals) == 1 else None
    if only and only.start and only.end and only.end - only.start == timedelta(days=1):
        start, end = part[0][0], part[0][1]
        if len(part) > 1:  # it wraps: (20, 24), (0, 5)
            end = 24 + part[1][1]
        elif part == ((18, 24),):  # 晚上: the evening of one day goes on into its night
            end = 29
        return Time(intervals=(Interval(only.start + timedelta(hours=start), only.start + timedelta(hours=end)),))
    return Time(time.intervals, time.months, time.days, time.weekdays, part, time.festivals)
