"""Two moments make a range; one makes "since", "before"; several make a list. The same for both languages."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from isthmus.photos.query.model import Interval, Settings, Time
from isthmus.photos.query.moments import SEASONS, Moment, NoSuchDate, resolve, span

Side = Literal["since", "after", "before", "until"]


def between(first: Moment, last: Moment, now: datetime, settings: Settings) -> Time | None:
    """From the start of `first` to the end of `last`; None where the two do not make a range. Raises NoSuchDate.

    A year said once holds for both; with no year the range is of every year.
    """
    first, last = _share(first, last)
    if not first.is_fixed and not last.is_fixed:
        return _every_year(first, last, now, settings)
    if first.is_fixed != last.is_fixed:
        return None
    start, end = span(first, now, settings), span(last, now, settings)
    if not start or not end or not start.start or not end.end:
        return None
    if start.start >= end.end and first.year == last.year and first.year is not None and _is_partial(first):
        # "from November to February 2020" begins in the year before.
        start = span(replace(first, year=first.year - 1), now, settings)
    if not start or not start.start or start.start >= end.end:
        return None
    return Time(intervals=(Interval(start.start, end.end),))


def one_side(side: Side, moment: Moment, now: datetime, settings: Settings) -> Time | None:
    """ "since", "after", "before" or "until" a moment; None where the moment is not one interval. Raises NoSuchDate."""
    found = span(latest(moment, now, settings), now, settings)
    if not found:
        return None
    if side == "since":
        return Time(intervals=(Interval(found.start, None),))
    if side == "after":
        return Time(intervals=(Interval(found.end, None),))
    return Time(intervals=(Interval(None, found.start if side == "before" else found.end),))


def latest(moment: Moment, now: datetime, settings: Settings) -> Moment:
    """What recurs, as the last one that has begun: "since May" is since the last May."""
    if moment.is_fixed:
        return moment
    if moment.weekday is not None:
        return replace(moment, which="last")
    this_year = replace(moment, year=now.year)
    found = span(this_year, now, settings)
    if found and found.start and found.start > now:
        return replace(moment, year=now.year - 1)
    return this_year


def either(moments: list[Moment], now: datetime, settings: Settings) -> Time | None:
    """Any of them: "2018 or 2019", "May and June 2019"; None where they are not of one sort. Raises NoSuchDate."""
    last = moments[-1]
    first = _share(moments[0], last)[0]
    moments = [first, *(_share(first, _share(moment, last)[0])[1] for moment in moments[1:])]
    if len({sort(moment) for moment in moments}) > 1 and len({moment.is_fixed for moment in moments}) > 1:
        return None
    times = [resolve(moment, now, settings) for moment in moments]
    filled = {tuple(bool(field) for field in _fields(time)) for time in times}
    if len(filled) > 1:
        return None
    return Time(*(tuple(dict.fromkeys(entry for time in times for entry in _fields(time)[n])) for n in range(6)))  # type: ignore[arg-type]


def sort(moment: Moment) -> str:
    """What sort of thing a moment names; a list holds things of one sort."""
    for name in ("festival", "season", "lunar", "unit"):
        if getattr(moment, name):
            return name
    for name in ("weekday", "day", "month", "decade"):
        if getattr(moment, name) is not None:
            return name
    return "year"


def _fields(time: Time) -> tuple[tuple[object, ...], ...]:
    return time.intervals, time.months, time.days, time.weekdays, time.hours, time.festivals


def _is_partial(moment: Moment) -> bool:
    return moment.month is not None or bool(moment.season) or bool(moment.festival)


def _share(first: Moment, last: Moment) -> tuple[Moment, Moment]:
    if first.month is None and first.day is not None and last.month is not None:
        first = replace(first, month=last.month)
    if last.month is None and last.day is not None and first.month is not None:
        last = replace(last, month=first.month)
    if _is_partial(first) and not first.has_year and last.has_year and _is_partial(last):
        first = replace(first, year=last.year, year_ago=last.year_ago, which=last.which)
    elif _is_partial(last) and not last.has_year and first.has_year:
        last = replace(last, year=first.year, year_ago=first.year_ago)
        if first.month and last.month and first.year is not None and (last.month, last.day or 31) < (
            first.month, first.day or 1
        ):  # fmt: skip
            last = replace(last, year=first.year + 1)
    return first, last


def _every_year(first: Moment, last: Moment, now: datetime, settings: Settings) -> Time | None:
    if first.weekday is not None and last.weekday is not None:
        count = (last.weekday - first.weekday) % 7 + 1
        return Time(weekdays=tuple(sorted((first.weekday + n) % 7 for n in range(count))))
    if first.season and last.season:
        names, begin = list(SEASONS), SEASONS.index(first.season)
        count = (SEASONS.index(last.season) - begin) % 4 + 1
        months = [m for n in range(count) for m in _months(names[(begin + n) % 4], now, settings)]
        return Time(months=tuple(sorted(months)))
    if first.month is None or last.month is None:
        return None
    if first.day is None and last.day is None and not first.portion and not last.portion:
        count = (last.month - first.month) % 12 + 1
        return Time(months=tuple(sorted((first.month - 1 + n) % 12 + 1 for n in range(count))))
    # Every day between, in a leap year; the year after where the range goes over New Year.
    start, end = span(replace(first, year=2000), now, settings), span(replace(last, year=2000), now, settings)
    if not start or not end or not start.start or not end.end:
        raise NoSuchDate("no such date")
    if end.end <= start.start:
        end = span(replace(last, year=2001), now, settings)
    assert end is not None and end.end is not None
    first_day, count = start.start.toordinal(), (end.end - start.start).days
    days = [datetime.fromordinal(first_day + n) for n in range(count)]
    return Time(days=tuple((day.month, day.day) for day in days))


def _months(season: str, now: datetime, settings: Settings) -> tuple[int, ...]:
    return resolve(Moment(season=season), now, settings).months
