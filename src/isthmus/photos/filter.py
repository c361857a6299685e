"""The conditions of a query, held against what is known of photos: filter first, then compare vectors.

What is not known of a photo satisfies no condition, so it is not left out by "not in Paris" either.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.facts import DAY, MONTH, SECOND, Facts, Mask, bits
from isthmus.photos.query.festivals import interval
from isthmus.photos.query.model import (
    Camera,
    ChipKind,
    Interval,
    Kind,
    Names,
    PhotoKind,
    Place,
    Places,
    Query,
    Text,
    Time,
)
from isthmus.photos.query.nearest import EARTH_KM

Look = Callable[[str], Mask]
"""Which photos show who has this name, or hold this text."""

CONDITIONS: frozenset[ChipKind] = frozenset({"time", "place", "name", "camera", "kind", "text"})
"""What is held against photos here; words are for the vectors."""
NO_PHOTOGRAPHS: frozenset[PhotoKind] = frozenset({"video", "screenshot", "document", "animation"})
"""What "only photos" leaves out."""


def fitting(query: Query, facts: Facts, *, named: Look, reads: Look) -> Mask:
    """[N]: photos that satisfy every condition. `named` and `reads` are asked for names, and for text in pictures.

    What the words of a query show is for the vectors, its denied words likewise.
    """
    found = np.ones(len(facts), bool)
    for chip in query.chips:
        match chip.value:
            case Time() as time:
                holds = taken_at(time, facts)
            case Places(any_of):
                holds = _any((taken_in(place, facts) for place in any_of), facts)
            case Names(any_of):
                holds = _any((named(name) for name in any_of), facts)
            case Camera() as camera:
                holds = taken_with(camera, facts)
            case Kind(any_of):
                holds = _any((of_kind(kind, facts) for kind in any_of), facts)
            case Text(text):
                holds = reads(text)
            case _:
                continue
        found &= ~holds if chip.negative else holds
    return found


def taken_at(time: Time, facts: Facts) -> Mask:
    """A photo known to the month alone is in May 2018, and not on 3 May 2018."""
    found = ~np.isnat(facts.taken)
    days = facts.taken.astype("datetime64[D]")
    months = facts.taken.astype("datetime64[M]").astype(np.int64) % 12 + 1
    if time.intervals:
        ends = facts.ends()
        found &= _any((_within(each, facts.taken, ends) for each in time.intervals), facts)
    if time.months:
        found &= (facts.precision <= MONTH) & np.isin(months, time.months)
    if time.days:
        of_month = (days - facts.taken.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
        wanted = [month * 32 + day for month, day in time.days]
        found &= (facts.precision <= DAY) & np.isin(months * 32 + of_month, wanted)
    if time.weekdays:
        weekdays = (days.astype(np.int64) + 3) % 7  # day 0, 1 January 1970, was a Thursday
        found &= (facts.precision <= DAY) & np.isin(weekdays, time.weekdays)
    if time.hours:
        hours = (facts.taken - days).astype("timedelta64[h]").astype(np.int64)
        within = _any(((start <= hours) & (hours < end) for start, end in time.hours), facts)
        found &= (facts.precision == SECOND) & within
    if time.festivals:
        years = np.unique(days[found].astype("datetime64[Y]").astype(np.int64) + 1970)
        named = (interval(name, int(year)) for name in time.festivals for year in years)
        within = _any((_between(days, *each) for each in named if each is not None), facts)
        found &= (facts.precision <= DAY) & within
    return found


def taken_in(place: Place, facts: Facts) -> Mask:
    """Within its radius; of a country or a region, by the code of where the photo was taken."""
    if place.latitude is not None and place.longitude is not None and place.radius_km is not None:
        return distance_km(facts.latitude, facts.longitude, place.latitude, place.longitude) <= place.radius_km
    inside = [code == place.code or code.startswith(place.code + ".") for code in facts.codes]
    found: Mask = np.array(inside, bool)[facts.code]
    return found


def taken_with(camera: Camera, facts: Facts) -> Mask:
    """By whole words without case: "iPhone 1" is no iPhone 12, while "EOS 5D" is any of that name. The maker may stand
    in the model too ("Canon EOS 5D")."""
    wanted = [re.compile(rf"(?<!\w){re.escape(said)}(?!\w)", re.I) for said in (camera.maker, camera.model) if said]
    fits = [bool(maker or model) and all(each.search(f"{maker} {model}") for each in wanted)
            for maker, model in facts.cameras]  # fmt: skip
    found: Mask = np.array(fits, bool)[facts.camera]
    return found


def of_kind(kind: PhotoKind, facts: Facts) -> Mask:
    if kind == "photo":
        return ~np.asarray(facts.kinds & bits(NO_PHOTOGRAPHS), bool)
    return facts.are(kind)


def distance_km(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], to_latitude: float, to_longitude: float
) -> NDArray[np.float64]:
    """Along the great circle, by the haversine formula; degrees in, NaN where a place is not known."""
    here, there = np.radians(latitude), np.radians(to_latitude)
    half = np.sin((here - there) / 2) ** 2
    half = half + np.cos(here) * np.cos(there) * np.sin(np.radians(longitude - to_longitude) / 2) ** 2
    distance: NDArray[np.float64] = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return distance


def _within(interval: Interval, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> Mask:
    found = ~np.isnat(starts)
    if interval.start is not None:
        found &= starts >= _second(interval.start)
    if interval.end is not None:
        found &= ends <= _second(interval.end)
    return found


def _between(days: NDArray[np.datetime64], first: date, after: date) -> Mask:
    found: Mask = (days >= np.datetime64(first, "D")) & (days < np.datetime64(after, "D"))
    return found


def _second(moment: datetime) -> np.datetime64:
    return np.datetime64(moment, "s")


def _any(masks: Iterable[Mask], facts: Facts) -> Mask:
    return reduce(np.logical_or, masks, np.zeros(len(facts), bool))
