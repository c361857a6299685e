"""When the photo was taken, from all that claim to know."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from isthmus.photos.metadata import moments
from isthmus.photos.metadata.exif import Exif
from isthmus.photos.metadata.iptc import Iptc
from isthmus.photos.metadata.model import Source
from isthmus.photos.metadata.moments import Moment
from isthmus.photos.metadata.text import Problems
from isthmus.photos.metadata.xmp import Node

FAR_FROM_THE_SUN = 270
"""Minutes. No zone's time is further from that of its sun; western China in summer time was close to it."""


@dataclass(frozen=True)
class Claim:
    """A time and who says it; `original`: of the photo, not of its file, and by someone who wrote metadata."""

    source: Source
    moment: Moment
    original: bool = True


def claims(
    exif: Exif, xmp: Node, iptc: Iptc, sidecar: Node, *, iptc_newer: bool, now: datetime, problems: Problems
) -> tuple[Claim, ...]:
    """All usable times of the metadata, the most trusted first.

    Of the moment the photo was taken, then of its digitisation: the sidecar, for it holds what a person corrected
    later (Immich and PhotoPrism hold it so, too); then, as the MWG has it (2.0), EXIF before XMP before
    IPTC, but IPTC before XMP where the IPTC was changed after it.
    """
    read = _Reader(now, problems)
    inside_original = [*read.iptc(iptc.created, "IPTC date created"), *read.xmp(xmp, "XMP", _ORIGINAL)]
    inside_digitised = [*read.iptc(iptc.digitised, "IPTC digitisation"), *read.xmp(xmp, "XMP", _DIGITISED)]
    if not iptc_newer:
        inside_original.sort(key=lambda claim: claim.source == "iptc")
        inside_digitised.sort(key=lambda claim: claim.source == "iptc")
    return (
        *read.xmp(sidecar, "sidecar", _ORIGINAL),
        *_claim("exif", moments.of_exif(exif.original, "EXIF DateTimeOriginal", now, problems)),
        *inside_original,
        *read.xmp(sidecar, "sidecar", _DIGITISED),
        *_claim("exif", moments.of_exif(exif.digitised, "EXIF DateTimeDigitized", now, problems)),
        *inside_digitised,
    )


def best(
    said: tuple[Claim, ...],
    modified: Moment | None,
    satellite: Moment | None,
    named: Moment | None,
    longitude: float | None,
    problems: Problems,
) -> Claim | None:
    """The claim to go by, with its offset where one can be known; None where nothing is known.

    Metadata first; then a time of the day in the file's name; then the file's modification (`modified`: given where
    only a camera can have written it); then the day the satellites or the name give in UTC.
    """
    local_name = named if named is not None and not named.utc else None
    candidates = [
        *said,
        *(Claim("name", moment) for moment in [local_name] if moment and moment.precision == "second"),
        *_claim("exif", modified),
        *_claim("gps", _day_of(satellite, longitude)),
        *(Claim("name", moment) for moment in [local_name] if moment and moment.precision != "second"),
        *_claim("name", _day_of(named, longitude) if named is not None and named.utc else None),
    ]
    if not candidates:
        return None
    chosen = _finest(_local(candidates[0], candidates), candidates)
    if chosen.moment.precision != "second" or chosen.moment.offset is not None:
        return chosen
    offset = _offset(chosen.moment, said, modified, satellite, longitude, problems)
    return replace(chosen, moment=replace(chosen.moment, offset=offset))


_ORIGINAL = ("photoshop:DateCreated", "exif:DateTimeOriginal")
_DIGITISED = ("xmp:CreateDate", "exif:DateTimeDigitized")


@dataclass(frozen=True)
class _Reader:
    now: datetime
    problems: Problems

    def xmp(self, packet: Node, what: str, names: tuple[str, ...]) -> Iterator[Claim]:
        for name in names:
            moment = moments.of_text(packet.get(name).string(), f"{what} {name}", self.now, self.problems)
            if moment is not None:
                zone = packet.get("exif:OffsetTimeOriginal").text if names is _ORIGINAL else ""
                if moment.precision == "second" and moment.offset is None and zone:
                    moment = replace(moment, offset=moments.offset_of(zone))
                yield Claim("xmp", moment)

    def iptc(self, stamp: tuple[str, str], what: str) -> Iterator[Claim]:
        yield from _claim("iptc", moments.of_iptc(*stamp, what, self.now, self.problems))


def _claim(source: Source, moment: Moment | None) -> Iterator[Claim]:
    if moment is not None:
        yield Claim(source, moment)


def _local(chosen: Claim, candidates: list[Claim]) -> Claim:
    """Where the chosen time is in UTC by habit and another is the same moment on a clock of some zone: that one.

    Exports of photo services write UTC into sidecars; taken for local time it is the wrong hour, and often day.
    """
    if not chosen.moment.utc or chosen.moment.precision != "second":
        return chosen
    for other in candidates:
        apart = other.moment.second() - chosen.moment.second()
        zone = moments.zone_between(other.moment.second(), chosen.moment.second())
        if other.moment.precision != "second" or other.moment.utc or zone is None or apart != timedelta(minutes=zone):
            continue
        if other.moment.offset in (None, zone):
            return replace(other, moment=replace(other.moment, offset=zone))
    return chosen


def _finest(chosen: Claim, candidates: list[Claim]) -> Claim:
    """Where the chosen one knows the day, month or year only, one that agrees and knows more."""
    shown = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}
    for other in candidates:
        known = chosen.moment.precision
        if known == "second":
            break
        agrees = f"{other.moment.at:{shown[known]}}" == f"{chosen.moment.at:{shown[known]}}"
        if agrees and list(shown).index(known) < [*shown, "second"].index(other.moment.precision):
            chosen = other
    return chosen


def _offset(
    local: Moment,
    said: tuple[Claim, ...],
    modified: Moment | None,
    satellite: Moment | None,
    longitude: float | None,
    problems: Problems,
) -> int | None:
    """Minutes east of UTC: from the satellites, or from another claim of the same local second.

    EXIF's plain OffsetTime belongs to the time of modification and counts only where that is the same second: an edit
    in winter must not move a photo of summer. IPTC's is mostly that of the computer that wrote it.
    """
    if satellite is not None:
        zone = moments.zone_between(local.second(), satellite.second())
        if zone is not None and _is_near_the_sun(zone, longitude):
            return zone
        problems.add(f"GPS time {satellite.second()} UTC and local time {local.second()} are of no one zone")
    others = [claim.moment for claim in said if claim.source != "iptc"] + ([modified] if modified else [])
    same = (other.offset for other in others if other.second() == local.second() and not other.utc)
    return next((offset for offset in same if offset is not None), None)


def _is_near_the_sun(zone: int, longitude: float | None) -> bool:
    if longitude is None:
        return True
    apart = abs(zone - 4 * longitude) % 1440
    return min(apart, 1440 - apart) <= FAR_FROM_THE_SUN


def _day_of(utc: Moment | None, longitude: float | None) -> Moment | None:
    """The day it was there by the sun, for local time is not known; without a longitude, the day in Greenwich."""
    if utc is None:
        return None
    there = utc.at + timedelta(minutes=4 * (longitude or 0.0))
    return Moment(there.replace(hour=0, minute=0, second=0, microsecond=0), "day")
