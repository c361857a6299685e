"""Times as metadata writes them, read without inventing what is not there."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from isthmus.photos.metadata.exif import Stamp
from isthmus.photos.metadata.model import Precision
from isthmus.photos.metadata.text import Problems, clean

FIRST_YEAR = 1826
"""Of the oldest photograph there is."""

EARLIEST, LATEST = -720, 840
"""Offsets from UTC, minutes."""

# Minutes beyond whole hours, of zones now and since 1970: Marquesas, Newfoundland, Iran, Afghanistan, India, Nepal,
# Myanmar, Pyongyang, Eucla, Adelaide, Lord Howe, Norfolk, Chatham, Venezuela.
_ODD_ZONES = frozenset({-570, -270, -210, -150, 210, 270, 330, 345, 390, 510, 525, 570, 630, 690, 765, 825})
_CLOCK_RESETS = frozenset({(1970, 1, 1), (1980, 1, 1), (1969, 12, 31), (1979, 12, 31)})
_TIME = re.compile(
    r"(?P<year>\d{4})(?:[-:/.](?P<month>\d\d?)(?:[-:/.](?P<day>\d\d?)(?:[T ]+(?P<hour>\d\d?):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:[.,](?P<part>\d+))?)?\s*(?P<zone>Z|[-+]\d\d?:?\d\d)?)?)?)?",
    re.IGNORECASE,
)
_ZONE = re.compile(r"([-+])(\d\d?):?(\d\d)")


@dataclass(frozen=True)
class Moment:
    """`at`: naive wall time at the start of `precision`. `offset`: minutes east of UTC where it is said.

    `utc`: it is in UTC because its writer keeps all times so ("Z"), not because the photo was taken there.
    """

    at: datetime
    precision: Precision = "second"
    offset: int | None = None
    utc: bool = False

    def second(self) -> datetime:
        return self.at.replace(microsecond=0)


def of_exif(stamp: Stamp, what: str, now: datetime, problems: Problems) -> Moment | None:
    """EXIF's time, its subsecond and its offset, which come as three texts."""
    moment = of_text(stamp.time, what, now, problems)
    if moment is None or moment.precision != "second":
        return moment
    if stamp.subsecond.strip().isdigit() and moment.at.microsecond == 0:
        moment = replace(moment, at=moment.at.replace(microsecond=_microsecond(stamp.subsecond.strip())))
    if stamp.offset.strip(" :"):
        offset = offset_of(stamp.offset)
        if offset is None:
            problems.add(f"{what} offset “{clean(stamp.offset, 20)}” is no offset from UTC")
        else:
            moment = replace(moment, offset=offset, utc=False)
    return moment


def of_text(text: str, what: str, now: datetime, problems: Problems) -> Moment | None:
    """ISO 8601 as XMP has it (XMP part 1, section 8.2.1.2) and EXIF's colons; year and month may stand alone.

    Blanks are how EXIF says "unknown". What is no usable time gives None and a line in `problems`.
    """
    text = text.strip("\0 \t\r\n")[:64]
    if not text.strip(" :-"):
        return None
    moment = _parsed(text)
    if moment is None:
        problems.add(f"{what} “{clean(text, 40)}” is no time")
        return None
    if why := implausible(moment, now):
        problems.add(f"{what} “{clean(text, 40)}” {why}")
        return None
    return moment


def of_iptc(date: str, time: str, what: str, now: datetime, problems: Problems) -> Moment | None:
    """IIM 4.2, datasets 2:55 and 2:60: "CCYYMMDD", with 00 for what is unknown, and "HHMMSS+HHMM"."""
    digits = re.sub(r"\D", "", date)
    if len(digits) != 8:
        if date.strip():
            problems.add(f"{what} “{clean(date, 40)}” is no date")
        return None
    text = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    if match := re.fullmatch(r"(\d\d):?(\d\d):?(\d\d)([-+]\d\d:?\d\d)?", time.strip()):
        text += f"T{match[1]}:{match[2]}:{match[3]}{match[4] or ''}"
    return of_text(text, what, now, problems)


def offset_of(text: str) -> int | None:
    """Minutes east of UTC; None for what is no offset of any zone."""
    text = text.strip()
    if text.upper() == "Z":
        return 0
    match = _ZONE.fullmatch(text)
    if not match or int(match[3]) > 59:
        return None
    minutes = (int(match[2]) * 60 + int(match[3])) * (-1 if match[1] == "-" else 1)
    return minutes if EARLIEST <= minutes <= LATEST else None


def zone_between(local: datetime, utc: datetime) -> int | None:
    """The offset of a zone in use that local time has from UTC, minutes, to the next quarter of an hour; else None."""
    minutes = round((local - utc) / timedelta(minutes=15)) * 15
    is_zone = minutes % 60 == 0 or minutes in _ODD_ZONES
    return minutes if is_zone and EARLIEST <= minutes <= LATEST else None


def implausible(moment: Moment, now: datetime) -> str:
    """Why no photo can have been taken then; "" where one can."""
    day = (moment.at.year, moment.at.month, moment.at.day)
    if moment.at.year < FIRST_YEAR:
        return "is before there were photographs"
    if moment.precision == "second" and day in _CLOCK_RESETS:
        return "is what a camera says whose clock was not set"
    # A person who writes a bare date of that kind means it.
    if moment.at > now + timedelta(days=2):
        return "is in the future"
    return ""


def _parsed(text: str) -> Moment | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(match[name] or 0) for name in ("year", "month", "day"))
    precision: Precision = "year" if not month else "month" if not day else "second" if match["hour"] else "day"
    offset = None
    if (zone := match["zone"]) and (offset := offset_of(zone)) is None:
        return None
    if (hour := int(match["hour"] or 0)) == 24:  # Android's "kk": the hour from midnight of that day
        hour = 0
    try:
        at = datetime(
            year, month or 1, day or 1, *(
                (hour, int(match["minute"]), min(int(match["second"] or 0), 59), _microsecond(match["part"] or "0"))
                if precision == "second"
                else ()
            ),
        )  # fmt: skip
    except ValueError:
        return None
    return Moment(at, precision, offset if precision == "second" else None, bool(zone) and zone.upper() == "Z")


def _microsecond(digits: str) -> int:
    return int(digits[:6].ljust(6, "0"))
