"""Points in time in English: "3 May 2018", "last summer", "two weeks ago", "the 90s". All text is folded."""

import re
from collections.abc import Callable
from datetime import datetime

from isthmus.photos.query.festivals import ENGLISH as FESTIVALS
from isthmus.photos.query.model import Settings
from isthmus.photos.query.moments import Moment, NoSuchDate, Unit, Which
from isthmus.photos.query.portions import Portion
from isthmus.photos.query.said import Build, Rule, Said, longest

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100,
    "a couple of": 2, "couple of": 2, "a dozen": 12,
}  # fmt: skip
DECADES = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80,
           "nineties": 90}  # fmt: skip
PARTS: dict[str, tuple[tuple[int, int], ...]] = {
    "early morning": ((5, 8),), "late morning": ((10, 12),), "morning": ((5, 12),), "mornings": ((5, 12),),
    "noon": ((11, 14),), "midday": ((11, 14),), "lunchtime": ((11, 14),), "early afternoon": ((12, 15),),
    "late afternoon": ((15, 18),), "afternoon": ((12, 18),), "afternoons": ((12, 18),), "evening": ((18, 22),),
    "evenings": ((18, 22),), "early evening": ((17, 20),), "late evening": ((20, 23),),
    "late night": ((22, 24), (0, 4)),
    "early night": ((20, 23),), "night": ((20, 24), (0, 5)), "nights": ((20, 24), (0, 5)),
    "midnight": ((23, 24), (0, 1)),
}  # fmt: skip

# A name of these is a word or a person too: alone it is no month.
AMBIGUOUS_MONTHS = {"may", "march", "august", "april", "june", "mar", "jan", "dec", "sept", "sep", "apr", "jun", "jul"}

_MONTH = (
    r"(?P<month>jan(?:uary|\.)?|feb(?:ruary|\.)?|mar(?:ch|\.)?|apr(?:il|\.)?|may|june?|july?"
    r"|aug(?:ust|\.)?|sept?(?:ember|\.)?|oct(?:ober|\.)?|nov(?:ember|\.)?|dec(?:ember|\.)?)"
)
_YEAR = r"(?P<year>(?:1[89]|2[01])\d\d)(?![\d.,]?\d)"
_SHORT_YEAR = r"(?P<year>(?:1[89]|20|21)\d\d|'\d\d)(?!\d)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?![\d:])"
_SEASON = r"(?P<season>spring|summer|autumn|fall|winter)(?:time)?"
_FESTIVAL = r"(?P<festival>" + "|".join(sorted(map(re.escape, FESTIVALS), key=len, reverse=True)) + ")"
_WEEKDAY = r"(?P<weekday>(?:mon|tues?|wednes|thurs|fri|satur|sun)day)"
_WHICH = r"(?:the )?(?P<which>last|past|previous|this|current|next|this past|this year's|last year's|next year's)"
_PORTION = (
    r"(?:the )?(?:(?P<portion>early|mid|late|beginning|start|middle|end|first half|second half)"
    r"(?:-| (?:of |in )?(?:the )?))?"
)
NUMBER = (
    r"(?P<number>\d{1,3}|a couple of|couple of|a dozen|"
    + "|".join(sorted((n for n in NUMBERS if " " not in n), key=len, reverse=True))
    + ")"
)
_UNIT = r"(?P<unit>day|week|month|year|decade|weekend)"
_B, _E = r"(?<![a-z0-9_])", r"(?![a-z0-9])"

_RULES: list[Rule] = []


def points(text: str, at: int, now: datetime, settings: Settings) -> tuple[int, Moment] | None:
    """As `longest`."""
    return longest(_RULES, text, at, now, settings)


def month_number(name: str) -> int:
    return next(n for n, month in enumerate(MONTHS, 1) if month.startswith(name.rstrip(".")[:3]))


def number(words: str) -> int:
    return int(words) if words.isdigit() else NUMBERS[words]


def _rule(pattern: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        _RULES.append((re.compile(_B + pattern + _E), build))
        return build

    return add


def _year(words: str, now: datetime) -> int | None:
    if not words:
        return None
    if words.startswith("'"):
        short = int(words[1:]) + 2000
        return short if short <= now.year + 1 else short - 100
    return int(words)


def _portion(said: Said) -> Portion:
    words: dict[str, Portion] = {
        "early": "early",
        "mid": "middle",
        "middle": "middle",
        "late": "late",
        "beginning": "beginning",
        "start": "beginning",
        "end": "end",
        "first half": "first half",
        "second half": "second half",
    }
    return words.get(said["portion"].removesuffix(" of"), "")


def _which(said: Said) -> Which:
    word = said["which"].removeprefix("this ") or said["which"]
    words: dict[str, Which] = {"past": "last", "previous": "last", "last": "last", "next": "next"}
    return words.get(word.split()[0], "this") if word else ""


@_rule(r"(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>[0-2]\d|3[01])")
@_rule(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})")
def _iso_day(said: Said) -> Moment:
    return Moment(year=int(said["year"]), month=int(said["month"]), day=int(said["day"]))


@_rule(r"(?P<year>(?:1[89]|20)\d\d)[-/](?P<month>0\d|1\d)(?![-/\d])")
def _iso_month(said: Said) -> Moment:
    return Moment(year=int(said["year"]), month=int(said["month"]))


@_rule(r"(?P<a>\d{1,2})[/.](?P<b>\d{1,2})[/.](?P<year>(?:1[89]|20)\d\d)")
def _slashes(said: Said) -> Moment:
    a, b = int(said["a"]), int(said["b"])
    day, month = (a, b) if (said.settings.day_first and b <= 12) or a > 12 else (b, a)
    return Moment(year=int(said["year"]), month=month, day=day)


@_rule(_PORTION + _MONTH + r"(?: of|,)? " + _SHORT_YEAR)
@_rule(_PORTION + _MONTH)
def _month(said: Said) -> Moment:
    year = _year(said["year"], said.now)
    return Moment(year=year, month=month_number(said["month"]), portion=_portion(said))


@_rule(r"(?P<year>(?:1[89]|20)\d\d),? " + _MONTH)
def _year_month(said: Said) -> Moment:
    return Moment(year=int(said["year"]), month=month_number(said["month"]))


@_rule(r"(?:the )?" + _DAY + r"(?: of)? " + _MONTH + r"(?:,? " + _SHORT_YEAR + r")?")
@_rule(_MONTH + r" (?:the )?" + _DAY + r"(?:,? " + _SHORT_YEAR + r")?")
def _day(said: Said) -> Moment:
    return Moment(year=_year(said["year"], said.now), month=month_number(said["month"]), day=int(said["day"]))


@_rule(_PORTION + r"(?:the year )?" + _YEAR + r"(?!'?s|/\d)")
@_rule(r"(?:the )?(?:summer of )?(?P<year>'\d\d)(?!s)")
def _only_year(said: Said) -> Moment:
    year = _year(said["year"], said.now)
    assert year is not None
    if year > said.now.year + 1:
        raise NoSuchDate("that year is to come")
    if "summer of" in said.words:
        return Moment(year=year, season="summer")
    return Moment(year=year, portion=_portion(said))


@_rule(_PORTION + r"(?:the )?(?P<decade>(?:1[89]|20)\d0)'?s")
@_rule(_PORTION + r"(?:the )?'?(?P<decade>\d0)'?s")
@_rule(_PORTION + r"the (?P<word>" + "|".join(DECADES) + ")")
def _decade(said: Said) -> Moment:
    first = int(said["decade"]) if said["decade"] else DECADES[said["word"]]
    if first < 100:
        first += 2000 if first + 2000 <= said.now.year else 1900
    return Moment(decade=first, portion=_portion(said))


@_rule(_PORTION + _SEASON + r"(?: of|,)? " + _SHORT_YEAR)
@_rule(_PORTION + _SEASON)
@_rule(r"(?P<year>(?:1[89]|20)\d\d) " + _SEASON)
def _season(said: Said) -> Moment:
    season = said["season"].replace("fall", "autumn")
    return Moment(year=_year(said["year"], said.now), season=season, portion=_portion(said))


@_rule(_FESTIVAL + r"(?:(?: of| in|,)? " + _SHORT_YEAR + ")?")
@_rule(r"(?P<year>(?:1[89]|20)\d\d) " + _FESTIVAL)
@_rule(r"(?:the )?" + _FESTIVAL + r" (?P<relative>before last|last year|this year)")
def _festival(said: Said) -> Moment:
    name, relative = FESTIVALS[said["festival"]], said["relative"]
    if relative == "before last":
        return Moment(festival=name, which="last", which_back=2)
    if relative:
        return Moment(festival=name, year_ago=1 if relative == "last year" else 0)
    return Moment(festival=name, year=_year(said["year"], said.now))


@_rule(_WHICH + " " + _FESTIVAL)
@_rule(_WHICH + " " + _SEASON)
@_rule(_WHICH + " " + _MONTH)
@_rule(_WHICH + " " + _WEEKDAY + r"(?: (?P<part>morning|afternoon|evening|night))?")
def _last_one(said: Said) -> Moment:
    which = _which(said)
    year_ago = {"last year's": 1, "this year's": 0, "next year's": -1}.get(said["which"])
    festival, season = said["festival"], said["season"].replace("fall", "autumn")
    month = month_number(said["month"]) if said["month"] else None
    weekday = WEEKDAYS.index(said["weekday"]) if said["weekday"] else None
    part = PARTS.get(said["part"], ())
    return Moment(
        festival=FESTIVALS[festival] if festival else "", season=season, month=month, weekday=weekday, part=part,
        which="" if year_ago is not None else which, year_ago=year_ago,
    )  # fmt: skip


@_rule(r"(?:the )?(?:" + _MONTH + "|" + _SEASON + r"|(?P<unit>week|weekend|month|year)) before last")
def _before_last(said: Said) -> Moment:
    if said["unit"]:
        unit: Unit = said["unit"]  # type: ignore[assignment]
        return Moment(unit=unit, ago=2)
    month = month_number(said["month"]) if said["month"] else None
    return Moment(month=month, season=said["season"].replace("fall", "autumn"), which="last", which_back=2)


@_rule(r"(?P<season>spring|summer|autumn|fall|winter) (?P<relative>last year|this year)")
@_rule(_MONTH + r" (?P<relative>last year|this year)")
def _of_last_year(said: Said) -> Moment:
    month = month_number(said["month"]) if said["month"] else None
    ago = 1 if said["relative"] == "last year" else 0
    return Moment(month=month, season=said["season"].replace("fall", "autumn"), year_ago=ago)


@_rule(r"(?P<portion>early|late|beginning of|end of) (?P<which>last|this) (?P<unit>year|month)")
@_rule(_WHICH + " " + _UNIT)
def _last_unit(said: Said) -> Moment:
    unit: Unit = said["unit"]  # type: ignore[assignment]
    if unit == "day" and _which(said) == "this":
        return Moment(month=said.now.month, day=said.now.day)
    if said["which"] in ("past", "this past") and unit in ("week", "month", "year"):
        return Moment(unit=unit, ago=1, rolling=True)
    portion = _portion(said)
    return Moment(unit=unit, ago={"last": 1, "next": -1}.get(_which(said), 0), portion=portion)


@_rule(NUMBER + r" (?:years? ago today|(?P<unit>day|week|weekend|month|year|decade)s? ago)")
def _ago(said: Said) -> Moment:
    ago = number(said["number"])
    if not said["unit"]:
        return Moment(year_ago=ago, month=said.now.month, day=said.now.day)
    unit: Unit = said["unit"]  # type: ignore[assignment]
    return Moment(unit=unit, ago=ago)


@_rule(r"this day(?P<last> last year)?|(?P<year>this day in (?:1[89]|20)\d\d)")
def _this_day(said: Said) -> Moment:
    year = int(said["year"][-4:]) if said["year"] else None
    return Moment(year=year, year_ago=1 if said["last"] else None, month=said.now.month, day=said.now.day)


@_rule(r"(?:in |within |over |during )?(?:the )?(?:last|past|previous) " + NUMBER + r" (?P<unit>day|week|month|year)s?")
def _rolling(said: Said) -> Moment:
    unit: Unit = said["unit"]  # type: ignore[assignment]
    return Moment(unit=unit, ago=number(said["number"]), rolling=True)


@_rule(r"recently|lately|in recent weeks")
def _recently(_: Said) -> Moment:
    return Moment(unit="day", ago=30, rolling=True)


@_rule(
    r"(?:the )?(?P<day>day before yesterday|yesterday|today|tomorrow)(?: (?P<part>early morning"
    r"|morning|afternoon|evening|night))?"
)
@_rule(r"(?P<day>this)(?: )(?P<part>morning|afternoon|evening)")
@_rule(r"(?P<day>tonight|last night)")
def _named_day(said: Said) -> Moment:
    ago = {"day before yesterday": 2, "yesterday": 1, "last night": 1, "tomorrow": -1}.get(said["day"], 0)
    part = PARTS["night"] if said["day"] in ("tonight", "last night") else PARTS.get(said["part"], ())
    return Moment(unit="day", ago=ago, part=part)
