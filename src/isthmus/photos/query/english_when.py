"""Where an English sentence says when: points in time with the words around them that make them a condition."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from isthmus.photos.query import english_recurring, ranges
from isthmus.photos.query.english_time import AMBIGUOUS_MONTHS, MONTHS, PARTS, WEEKDAYS, points
from isthmus.photos.query.found import Doubt, Found
from isthmus.photos.query.model import Alternative, Interval, Settings, Time
from isthmus.photos.query.moments import Moment, NoSuchDate, resolve, with_part

_START = re.compile(r"(?<![a-z0-9'])[a-z0-9']")
_LEAD = re.compile(
    r"(?:(?:taken|shot|made|dated|captured|back) )?(?P<lead>in|on|at|during|over|of|from|around"
    r"|for|every|each|throughout)"
    r" (?:the (?!year|last|past|previous|early|mid|late|end|begin|\d\ds|19|20|(?:four|fif|six"
    r"|seven|eigh|nine|twen|thir)\w*ties)"
    r"(?:(?:month|year|day|night|summer holidays|holidays|season) of )?)?"
)
_SIDE = re.compile(
    r"(?:(?:taken|shot|from|ever|any time|dated|all) )?(?P<side>since|after|before|until|till"
    r"|up to|later than|earlier than|older than|newer than|more recent than"
    r"|prior to|not before|from)(?: the)? "
)
_FROM = re.compile(r"(?:(?:taken|shot|in|dated) )?(?:from|between|in between) (?:the )?")
_TO = re.compile(r",? ?(?:to|until|till|through|thru|and|up to|-) ?(?:the )?")
_TO_BARE = re.compile(r" ?(?:to|until|till|through|thru|-) ?(?:the )?")
_AND = re.compile(r",? (?:and|or) (?:in |on |at |the )?|, ?")
_ONWARDS = re.compile(r" (?:onwards?|on|forward)(?![a-z])")
_BARE_DAY = re.compile(
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?= ?(?:to|until|through|and|-) ?(?:the )?\d{1,2}(?:st|nd|rd|th)?[ -][a-z])"
)
_PART_OF = re.compile(
    r"(?:(?:on|in|during) )?(?:the )?(?P<part>(?:early |late )?(?:morning|afternoon|evening|night)) of (?:the )?"
)
_PART_AFTER = re.compile(r" (?P<part>morning|afternoon|evening|night)(?![a-z])")
# "Christmas tree": what is in the picture, not when it was taken.
_FESTIVE = re.compile(
    r" (?:trees?|lights?|markets?|cards?|decorations?|ornaments?|cookies|stockings?|wreaths?"
    r"|carols?|eggs?|bunny|bunnies|pumpkins?|costumes?|jumpers?"
    r"|sweaters?|presents?|gifts?|cake|pudding|balls?|star|hat|island|lily|lilies|candy)(?![a-z])"
)
_WEEK_OF = re.compile(r"(?:week|weekend|day|days|morning|evening|night|half|part|rest) $")
_LIST_OF_MONTHS = re.compile(
    r"(?:(?:" + "|".join(MONTHS) + r")(?:, |,? and |,? or )){1,11}(?:" + "|".join(MONTHS) + r")(?![a-z])"
)
# What makes a number with four digits something else than a year.
_NO_YEAR_AFTER = re.compile(
    r"\s*(?:px|pixels?|m|km|mm|cm|kg|g|ml|mah|meters?|metres?|miles?|feet|ft|people|dollars"
    r"|euros|pieces|steps|years|rpm|hz|w)(?![a-z])"
    r"|\s*[$€£%°x×]|\s+(?:[a-z]+ )?(?:street|st\.|avenue|road|lane)(?![a-z])"
)
_NO_YEAR_BEFORE = re.compile(
    r"(?:room|route|highway|number|no\.?|bus|flight|gate|page|model|chapter|iso|windows|office"
    r"|peugeot|bmw|porsche|apartment|unit|version)\s*$|(?:[#$€£×./]|\dx)$"
)


def find(text: str, sentence: str, now: datetime, settings: Settings) -> Iterator[Found | Doubt]:
    """Times in `text`, the folded `sentence`."""
    for start in (match.start() for match in _START.finditer(text)):
        try:
            found = list(_at(text, sentence, start, now, settings))
        except NoSuchDate as error:
            found = [Doubt(start, error.end, str(error), blocks=True)] if error.end > start else []
        yield from found


def _at(text: str, sentence: str, start: int, now: datetime, settings: Settings) -> Iterator[Found | Doubt]:
    yield from english_recurring.find(text, start, now, settings)
    if part := _PART_OF.match(text, start):
        point = points(text, part.end(), now, settings)
        if point and not _is_no_time(text, sentence, part.end(), point[0], point[1], True):
            yield Found(start, point[0], resolve(with_part(point[1], PARTS[part["part"]]), now, settings))
    if lead := _FROM.match(text, start):
        yield from _range(text, start, lead.end(), _TO, now, settings)
    if lead := _SIDE.match(text, start):
        yield from _one_side(text, sentence, start, lead, now, settings)
    lead = _LEAD.match(text, start)
    if lead:
        yield from _point(text, sentence, start, lead.end(), lead["lead"], now, settings)
    yield from _range(text, start, start, _TO_BARE, now, settings)
    yield from _point(text, sentence, start, start, "", now, settings)


def _range(
    text: str, start: int, at: int, joint: re.Pattern[str], now: datetime, settings: Settings
) -> Iterator[Found]:
    first = _one_end(text, at, now, settings)
    if not first:
        return
    to = joint.match(text, first[0])
    last = to and _one_end(text, to.end(), now, settings)
    if not to or not last:
        return
    if last[1].month is None and last[1].day is not None:
        return
    if (time := ranges.between(first[1], last[1], now, settings)) is not None:
        yield Found(start, last[0], time, core=(at, last[0]))


def _one_end(text: str, at: int, now: datetime, settings: Settings) -> tuple[int, Moment] | None:
    if day := _BARE_DAY.match(text, at):
        return day.end(), Moment(day=int(day["day"]))
    weekday = next((n for n, name in enumerate(WEEKDAYS) if text.startswith(name, at)), None)
    if weekday is not None:
        return at + len(WEEKDAYS[weekday]), Moment(weekday=weekday)
    if now_word := re.compile(r"(?:now|today|the present|present)(?![a-z])").match(text, at):
        return now_word.end(), Moment(unit="day")
    return points(text, at, now, settings)


def _one_side(
    text: str, sentence: str, start: int, lead: re.Match[str], now: datetime, settings: Settings
) -> Iterator[Found]:
    point = _one_end(text, lead.end(), now, settings)
    if not point or _is_no_time(text, sentence, lead.end(), point[0], point[1], True):
        return
    end, word = point[0], lead["side"]
    if word == "from":
        onwards = _ONWARDS.match(text, end)
        if not onwards:
            return
        end = onwards.end()
    sides: dict[str, ranges.Side] = {
        "since": "since", "from": "since", "not before": "since", "after": "after", "later than": "after",
        "newer than": "after", "more recent than": "after", "older than": "before",
        "before": "before", "earlier than": "before", "prior to": "before",
    }  # fmt: skip
    if (time := ranges.one_side(sides.get(word, "until"), point[1], now, settings)) is not None:
        yield Found(start, end, time, core=(lead.end(), end))


def _point(
    text: str, sentence: str, start: int, at: int, lead: str, now: datetime, settings: Settings
) -> Iterator[Found | Doubt]:
    point = points(text, at, now, settings)
    if not point:
        return
    end, moment = point
    in_list = _LIST_OF_MONTHS.match(text, at) is not None
    if reason := _is_no_time(text, sentence, at, end, moment, bool(lead) or in_list):
        if reason != "word":
            yield Doubt(at, end, reason)
        return
    if not lead and moment.festival and not moment.has_year and _FESTIVE.match(text, end):
        return
    moments = [moment]
    while len(moments) < 12 and (joint := _AND.match(text, end)) and (more := points(text, joint.end(), now, settings)):
        sorts = {ranges.sort(m) for m in [*moments, more[1]]}
        if len(sorts) > 1 or moment.part or more[1].part:
            break
        moments.append(more[1])
        end = more[0]
    if len(moments) > 1 and (time := ranges.either(moments, now, settings)) is not None:
        yield Found(start, end, time, core=(at, end))
        return
    end = point[0]
    if not moment.part and (part := _PART_AFTER.match(text, end)):
        moment, end = with_part(moment, PARTS[part["part"]]), part.end()
    # "of May" says less for the month than "in May": a name of the library may win there.
    weak = lead in ("of", "for", "around", "at") and not _WEEK_OF.search(text[:start])
    weight = end - at if weak else 0
    try:
        time = resolve(moment, now, settings)
    except NoSuchDate as error:
        yield Doubt(at, end, str(error), blocks=True)
        return
    yield Found(start, end, time, core=(at, end), weight=weight, alternatives=_other_order(text[at:end]))


def _other_order(words: str) -> tuple[Alternative, ...]:
    """3/5/2018 read the other way round."""
    match = re.fullmatch(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})", words)
    if not match or int(match[1]) > 12 or int(match[2]) > 12 or match[1] == match[2]:
        return ()
    year = int(match[3])
    days = [datetime(year, int(match[a]), int(match[b])) for a, b in ((1, 2), (2, 1))]
    return tuple(
        Alternative(f"{day:%Y-%m-%d}", Time(intervals=(Interval(day, day + timedelta(days=1)),))) for day in days
    )


def _is_no_time(text: str, sentence: str, start: int, end: int, moment: Moment, lead: bool) -> str:
    """Why a point is no time here: "" it is one, "word" it is a plain word, else a reason to report."""
    words = text[start:end]
    alone = not moment.has_year and not moment.unit and not moment.festival and moment.day is None
    if alone and not moment.portion and moment.season and not lead:
        return "word"
    if alone and not moment.portion and moment.month and words.rstrip(".") in AMBIGUOUS_MONTHS:
        if not lead and re.match(r" (?:i|you|we|he|she|it|they|there)(?![a-z])", text[end:]):
            return "word"
        if not lead:
            return "a month only after a word like “in”" if sentence[start].isupper() else "word"
        # "in may" is the month; "of march", "for may" need the capital.
        if re.search(r"(?:of|for|from|at|on) (?:the )?$", text[:start]) and not sentence[start].isupper():
            return "word"
    if moment.year is not None and words.isdigit() and (
        _NO_YEAR_AFTER.match(text, end) or _NO_YEAR_BEFORE.search(text[:start])
    ):  # fmt: skip
        return "word"
    return ""
