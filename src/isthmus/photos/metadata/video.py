"""What a video says of itself: tags as phones and cameras write them into QuickTime, MP4 and Matroska files.

Source: QuickTime File Format, "Metadata keys"; ISO 6709, annex H (positions); Android's MediaMuxer.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from isthmus.photos.metadata import camera, moments, text
from isthmus.photos.metadata.model import Metadata, Precision
from isthmus.photos.metadata.moments import Moment
from isthmus.photos.metadata.text import Problems

_APPLE = "com.apple.quicktime."
_UNSET = ("1904-", "1970-01-01")
"""Zero, as QuickTime counts seconds and as others do."""
_POSITION = re.compile(r"([-+]\d{2}(?:\.\d+)?)([-+]\d{3}(?:\.\d+)?)([-+]\d+(?:\.\d+)?)?")


def of_video(said: Metadata, tags: Mapping[str, str], now: datetime) -> Metadata:
    """`said`, which name and sidecar tell, with what the tags add. The sidecar counts first, as with photos."""
    problems = Problems()
    tags = {name.lower(): value for name, value in tags.items()}
    known = replace(said, kinds=said.kinds | {"video"}, problems=())
    moment = _taken(tags, now, problems)
    if moment is not None and said.taken_from in (None, "name") and not _is_as_good(said, moment):
        at = moment.at.replace(hour=0, minute=0, second=0, microsecond=0) if moment.utc else moment.at
        # A time in UTC says the day; the hour there is not known.
        precision: Precision = "day" if moment.utc and moment.precision == "second" else moment.precision
        offset = None if moment.utc else moment.offset
        known = replace(known, taken=at, precision=precision, offset=offset, taken_from="video")
    if said.latitude is None and (where := _position(tags)):
        known = replace(known, latitude=where[0], longitude=where[1], altitude=where[2])
    if not (said.maker or said.model):
        make = tags.get(f"{_APPLE}make") or tags.get("com.android.manufacturer") or tags.get("make") or ""
        model = tags.get(f"{_APPLE}model") or tags.get("com.android.model") or tags.get("model") or ""
        maker, model = camera.camera(make, model)
        known = replace(known, maker=maker, model=model)
    return replace(
        known,
        title=said.title or text.clean(tags.get("title", "")),
        caption=said.caption or text.clean(tags.get(f"{_APPLE}description") or tags.get("description") or ""),
        software=said.software or text.clean(tags.get(f"{_APPLE}software", "")),
        problems=problems.lines(),
    )


def _taken(tags: Mapping[str, str], now: datetime, problems: Problems) -> Moment | None:
    """Local time with its offset, else UTC."""
    for name in (f"{_APPLE}creationdate", "date", "creation_time"):
        if tags.get(name, "").startswith(_UNSET):
            continue
        if name in tags and (moment := moments.of_text(tags[name], "video time", now, problems)):
            return moment
    return None


def _is_as_good(said: Metadata, moment: Moment) -> bool:
    """A name tells local time to the second, which UTC does not."""
    if said.taken is None or said.precision != "second":
        return False
    return moment.utc or moment.precision != "second" or abs(said.taken - moment.at) < timedelta(seconds=1)


def _position(tags: Mapping[str, str]) -> tuple[float, float, float | None] | None:
    match = _POSITION.match(tags.get(f"{_APPLE}location.iso6709") or tags.get("location") or "")
    if match is None:
        return None
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180 or (latitude, longitude) == (0, 0):
        return None
    return latitude, longitude, float(match[3]) if match[3] else None
