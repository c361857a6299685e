"""Where a photo was taken, and the time satellites gave it."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from isthmus.photos.metadata.exif import Gps
from isthmus.photos.metadata.moments import Moment, implausible, of_text
from isthmus.photos.metadata.text import Problems, clean
from isthmus.photos.metadata.xmp import Node

DEEPEST, HIGHEST = -11_500, 500_000
"""Metres: the sea floor and the space station, where photos are taken too."""

_FIRST_GPS_YEAR = 2000
"""Receivers without a fix count from 6 January 1980 or 22 August 1999."""

_XMP_DEGREES = re.compile(r"(\d{1,3}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?(?:,(\d{1,2}(?:\.\d+)?))?\s*([NSEW])", re.I)
_FRACTION = re.compile(r"([-+]?\d{1,15}(?:\.\d{1,15})?)(?:/(\d{1,15}))?")


@dataclass(frozen=True)
class Position:
    """Degrees, north and east positive; metres above sea level."""

    latitude: float
    longitude: float
    altitude: float | None = None


def of_exif(gps: Gps, problems: Problems) -> Position | None:
    """The position in a GPS directory. A latitude without its hemisphere is none: both would be guesses."""
    latitude = _degrees(gps.latitude, gps.north, "NS", "latitude", problems)
    longitude = _degrees(gps.longitude, gps.east, "EW", "longitude", problems)
    height = next(iter(gps.altitude), None)
    below = gps.below in (1, 3)
    return _position(latitude, longitude, -height if height and below else height, gps.status, problems)


def of_xmp(packet: Node, problems: Problems) -> Position | None:
    """exif:GPSLatitude and its kin: "35,41.37N" or "35,41,22N" (XMP part 2)."""
    latitude = _xmp_degrees(packet.get("exif:GPSLatitude").text, "NS", "latitude", problems)
    longitude = _xmp_degrees(packet.get("exif:GPSLongitude").text, "EW", "longitude", problems)
    height = _fraction(packet.get("exif:GPSAltitude").text)
    below = packet.get("exif:GPSAltitudeRef").text.strip() in ("1", "3")
    status = packet.get("exif:GPSStatus").text.strip().upper()
    return _position(latitude, longitude, -height if height and below else height, status, problems)


def satellite_time(gps: Gps, packet: Node, now: datetime, problems: Problems) -> Moment | None:
    """GPSDateStamp with GPSTimeStamp, or XMP's exif:GPSTimeStamp: always UTC."""
    if gps.date and len(gps.time) >= 3:
        day = of_text(gps.date, "GPS date", now, problems)
        hour, minute, second = (value if value is not None else -1 for value in gps.time[:3])
        if day is None or day.precision != "day":
            return None
        if day.at.year < _FIRST_GPS_YEAR:
            problems.add(f"GPS date {day.at:%Y-%m-%d} is what a receiver says that has none")
            return None
        if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61):
            problems.add("GPS time is no time of the day")
            return None
        at = day.at + timedelta(hours=int(hour), minutes=int(minute), seconds=int(second))
        return Moment(at, "second", 0, utc=True)
    for name in ("exif:GPSTimeStamp", "exif:GPSDateTime"):
        found = of_text(packet.get(name).text, "GPS time", now, problems)
        if found is not None and found.precision == "second":
            at = found.at - timedelta(minutes=found.offset or 0)
            moment = Moment(at, "second", 0, utc=True)
            return None if implausible(moment, now) else moment
    return None


def _degrees(
    values: tuple[float | None, ...], hemisphere: str, letters: str, what: str, problems: Problems
) -> float | None:
    if not values or all(value is None for value in values):
        return None
    degrees, minutes, seconds = (*values, 0.0, 0.0)[:3]
    if degrees is None:
        problems.add(f"GPS {what} has no degrees")
        return None
    # 0/0 is how writers say that they have no seconds.
    total = degrees + (minutes or 0.0) / 60 + (seconds or 0.0) / 3600
    return _checked(total, hemisphere[:1], letters, what, problems)


def _xmp_degrees(text: str, letters: str, what: str, problems: Problems) -> float | None:
    text = text.strip()[:64]
    if not text:
        return None
    if match := _XMP_DEGREES.fullmatch(text):
        total = float(match[1]) + float(match[2] or 0) / 60 + float(match[3] or 0) / 3600
        return _checked(total, match[4].upper(), letters, what, problems)
    signed = _fraction(text)  # not by the book, but without doubt
    if signed is None or "/" in text:
        problems.add(f"GPS {what} “{clean(text, 40)}” is no {what}")
        return None
    return _checked(abs(signed), letters[signed < 0], letters, what, problems)


def _checked(total: float, hemisphere: str, letters: str, what: str, problems: Problems) -> float | None:
    most = 90 if letters == "NS" else 180
    if not math.isfinite(total) or not 0 <= total <= most:
        problems.add(f"GPS {what} {total:.6g} is no {what}")
        return None
    if hemisphere not in letters or not hemisphere:
        problems.add(f"GPS {what} does not say whether {letters[0]} or {letters[1]}")
        return None
    return -total if hemisphere == letters[1] else total


def _position(
    latitude: float | None, longitude: float | None, height: float | None, status: str, problems: Problems
) -> Position | None:
    if latitude is None or longitude is None:
        if latitude is not None or longitude is not None:
            problems.add("GPS position has only one of latitude and longitude")
        return None
    if latitude == 0 and longitude == 0 and not status.startswith("A"):
        problems.add("GPS position 0, 0 is what a receiver says that has none")
        return None
    if height is not None and not DEEPEST <= height <= HIGHEST:
        problems.add(f"GPS altitude {height:.6g} m is no altitude")
        height = None
    return Position(latitude + 0.0, longitude + 0.0, height)


def _fraction(text: str) -> float | None:
    match = _FRACTION.fullmatch(text.strip()[:64])
    if match is None or (match[2] and not int(match[2])):
        return None
    return float(match[1]) / int(match[2] or 1)
