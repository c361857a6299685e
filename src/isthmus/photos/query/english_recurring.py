"""Weekdays, parts of the day, hours and ages in English: "on Sundays", "in the morning", "after 6 pm"."""

import re
from collections.abc import Iterator
from datetime import datetime

from isthmus.photos.query.english_time import NUMBER, PARTS, WEEKDAYS, number
from isthmus.photos.query.explain import label_of
from isthmus.photos.query.found import Found
from isthmus.photos.query.model import Alternative, Interval, Settings, Time
from isthmus.photos.query.moments import Moment, Unit, resolve, span

_DAY_OF_WEEK = re.compile(
    r"(?:(?P<lead>on|at|over|during|every|each|from)(?: the)? )?(?:(?P<day>(?:mon|tues|wednes"
    r"|thurs|fri|satur|sun)day)(?P<s>s)?"
    r"|(?P<other>weekend|weekday)(?P<s2>s)?)(?: (?P<part>morning|afternoon|evening|night)s?)?(?![a-z])"
)
_CLOCK = r"(?P<{0}>\d{{1,2}})(?::(?P<{0}m>\d\d))? ?(?P<{0}h>[ap]\.?m\.?|o'clock)?"
_TIME = re.compile(
    r"(?P<how>at|around|after|before|since) "
    + _CLOCK.format("a")
    + r"(?![\w:/])|between "
    + _CLOCK.format("c")
    + r" and "
    + _CLOCK.format("b")
    + r"(?![\w:/])"
)
_OLDER = re.compile(
    r"(?:older than|more than|over) (?:the )?"
    + NUMBER
    + r" (?P<unit>day|week|month|year)s?(?P<end> ago| old)?(?![a-z])"
)
_PART = re.compile(
    r"(?:(?:early |late )?(?:in|at|during|on)(?: the| every)? |by )(?P<part>(?:early |late )?(?:morning"
    r"|afternoon|evening|night|noon|midday"
    r"|midnight|lunchtime)s?)(?![a-z])(?! (?:market|club|sky|bus|train|tea|gown|dress))|(?P<many>mornings"
    r"|evenings|afternoons)(?![a-z])"
    r"|late at (?P<late>night)(?![a-z])"
)


def find(text: str, start: int, now: datetime, settings: Settings) -> Iterator[Found]:
    """Times of these kinds that begin at `start`."""
    yield from _weekday(text, start, now, settings)
    yield from _clock(text, start)
    yield from _age(text, start, now, settings)
    if part := _PART.match(text, start):
        words = part["part"] or part["many"] or part["late"]
        hours = PARTS.get(words) or PARTS.get(words.removesuffix("s")) or PARTS[words.split()[-1]]
        yield Found(start, part.end(), Time(hours=hours))


def _weekday(text: str, start: int, now: datetime, settings: Settings) -> Iterator[Found]:
    match = _DAY_OF_WEEK.match(text, start)
    if not match:
        return
    is_plain = not match["lead"] and not match["s"] and not match["s2"] and not match["part"]
    if is_plain or (match["lead"] == "from" and (match["other"] or match["s"] or match["part"])):
        return
    if match["other"] == "weekend":
        days: tuple[int, ...] = (5, 6)
    else:
        days = (0, 1, 2, 3, 4) if match["other"] else (WEEKDAYS.index(match["day"]),)
    end = match.end()
    if match["lead"] == "from":
        yield Found(start, end, resolve(Moment(weekday=days[0], which="last"), now, settings))
        return
    while more := re.compile(
        r",? (?:and |or )(?:on )?(?P<day>(?:mon|tues|wednes|thurs|fri|satur|sun)day)s?(?![a-z])"
    ).match(text, end):
        days, end = (*days, WEEKDAYS.index(more["day"])), more.end()
    time = Time(weekdays=days, hours=PARTS[match["part"]] if match["part"] else ())
    others: tuple[Alternative, ...] = ()
    if match["day"] and not match["s"] and len(days) == 1:
        # "on Sunday" may be one Sunday, the last.
        part = PARTS[match["part"]] if match["part"] else ()
        last = resolve(Moment(weekday=days[0], which="last", part=part), now, settings)
        others = (Alternative(label_of(last, "en"), last),)
    yield Found(start, end, time, alternatives=others)


def _age(text: str, start: int, now: datetime, settings: Settings) -> Iterator[Found]:
    match = _OLDER.match(text, start)
    if match and (match["end"] == " ago" or text.startswith("older", start)):
        unit: Unit = match["unit"]  # type: ignore[assignment]
        recent = span(Moment(unit=unit, ago=number(match["number"]), rolling=True), now, settings)
        if recent:
            yield Found(start, match.end(), Time(intervals=(Interval(None, recent.start),)))


def _clock(text: str, start: int) -> Iterator[Found]:
    match = _TIME.match(text, start)
    if not match:
        return
    if match["how"]:
        if not match["ah"] and not match["am"]:
            return
        hour = _hour(match["a"], match["ah"] or "")
        after, before = match["how"] in ("after", "since"), match["how"] == "before"
        hours = (hour, 24) if after else (0, hour) if before else (hour, hour + 1)
    else:
        if not match["bh"] and not match["bm"]:
            return
        hours = (_hour(match["c"], match["ch"] or match["bh"] or ""), _hour(match["b"], match["bh"] or ""))
    if 0 <= hours[0] < hours[1] <= 24:
        yield Found(start, match.end(), Time(hours=(hours,)))


def _hour(number: str, half: str) -> int:
    hour = int(number)
    if half.startswith("p"):
        return hour % 12 + 12 if hour <= 12 else 99
    return hour % 12 if half.startswith("a") and hour <= 12 else hour
