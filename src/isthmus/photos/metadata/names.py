"""The time in a file's name, as phones, cameras, desktops and messengers write it."""

import re
from datetime import UTC, datetime, timedelta

from isthmus.photos.metadata.moments import Moment, implausible

_DATE = r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<dash>[-_.]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_HALF = "AM|PM|上午|下午"
# 20180503_142530123, 2018-05-03 14.25.30, 2018-05-03 at 2.25.30 PM, 2018-05-03 下午2.25.30
_FULL = re.compile(
    _DATE + rf"(?:[\s_T.-]{{0,3}}|\s+(?:at|um|à|kl\.?|klo|om|a las|alle(?: ore)?)\s+)(?P<half>{_HALF})?\s?"
    r"(?:(?P<hour>\d\d)(?P<dot>[-_.:]?)|(?P<short>\d)(?P<mark>[-_.:]))"
    r"(?P<minute>\d\d)(?(dot)(?P=dot)|(?P=mark))(?P<second>\d\d)(?:[_.-]?(?P<milli>\d{3}))?(?!\d)"
    rf"(?:\s?(?P<later>{_HALF})\b)?",
    re.IGNORECASE,
)
_DAY = re.compile(_DATE + r"(?!\d)")
_CHINESE_DAY = re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)年(?P<month>\d\d?)月(?P<day>\d\d?)日")
# Milliseconds since 1970, from September 2001 to May 2033.
_EPOCH = re.compile(
    r"^(?:mmexport|wx_camera_|microMsg\.|FB_IMG_|IMG_|IMG|VID_)?(?P<epoch>1\d{12})(?!\d)", re.IGNORECASE
)
# Messengers name a picture by when it was sent or saved.
_SENT = re.compile(r"^(?:(?:IMG|VID|STK|GIF|PTT)-\d{8}-WA\d+|(?:photo|video)_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)", re.I)
# Google's camera app names its pictures in UTC.
_IN_UTC = re.compile(r"^PXL_", re.IGNORECASE)


def moment_of(name: str, now: datetime) -> Moment | None:
    """The time the name of a file says, local wall time but where its `utc` is set; None where it says none.

    A messenger's is right to the day only. Times in the future are numbers that mean something else.
    """
    base = re.split(r"[/\\]", name[-1024:])[-1]
    found = _read(base)
    return found if found is not None and not implausible(found, now) else None


def _read(base: str) -> Moment | None:
    if match := _EPOCH.match(base):
        at = datetime.fromtimestamp(int(match["epoch"]) / 1000, UTC).replace(tzinfo=None)
        return Moment(at, "second", 0, utc=True)
    if not _SENT.match(base):
        for match in _FULL.finditer(base):
            if (clock := _date_time(match)) is not None:
                return Moment(clock, "second", 0, utc=True) if _IN_UTC.match(base) else Moment(clock)
    for match in (*_DAY.finditer(base), *_CHINESE_DAY.finditer(base)):
        try:
            return Moment(datetime(int(match["year"]), int(match["month"]), int(match["day"])), "day")
        except ValueError:
            continue
    return None


def _date_time(match: re.Match[str]) -> datetime | None:
    hour = int(match["hour"] or match["short"])
    half = (match["half"] or match["later"] or "").upper()
    if half in ("PM", "下午"):
        hour = hour % 12 + 12 if hour <= 12 else hour
    elif half in ("AM", "上午"):
        hour = hour % 12 if hour <= 12 else hour
    try:
        day = datetime(int(match["year"]), int(match["month"]), int(match["day"]))
        clock = day.replace(hour=hour, minute=int(match["minute"]), second=int(match["second"]))
    except ValueError:
        return None
    return clock + timedelta(milliseconds=int(match["milli"] or 0))
