"""Conditions that no photo can satisfy together become one that either satisfies: "from Paris to Rome"."""

from dataclasses import replace

from isthmus.photos.query.explain import label_of
from isthmus.photos.query.gazetteer import contains
from isthmus.photos.query.model import Chip, Interval, Language, Places, Time


def exclusive(chips: list[Chip], language: Language) -> list[Chip]:
    """`chips` with places that exclude each other, and intervals that do not meet, joined to one chip each."""
    merged: list[Chip] = []
    for chip in chips:
        other = next((n for n, before in enumerate(merged) if _exclude(before, chip)), None)
        if other is None:
            merged.append(chip)
        else:
            merged[other] = _both(merged[other], chip, language)
    return merged


def _exclude(one: Chip, two: Chip) -> bool:
    if one.negative or two.negative:
        return False
    if isinstance(one.value, Places) and isinstance(two.value, Places):
        pairs = [(a, b) for a in one.value.any_of for b in two.value.any_of]
        return not any(a == b or contains(a, b) or contains(b, a) for a, b in pairs)
    if isinstance(one.value, Time) and isinstance(two.value, Time):
        first, second = one.value.intervals, two.value.intervals
        if not first or not second or one.value != Time(first) or two.value != Time(second):
            return False
        return not any(_meet(a, b) for a in first for b in second)
    return False


def _meet(one: Interval, two: Interval) -> bool:
    return (one.start is None or two.end is None or one.start < two.end) and (
        two.start is None or one.end is None or two.start < one.end
    )


def _both(one: Chip, two: Chip, language: Language) -> Chip:
    if isinstance(one.value, Places) and isinstance(two.value, Places):
        value: Places | Time = Places(one.value.any_of + two.value.any_of)
    else:
        assert isinstance(one.value, Time) and isinstance(two.value, Time)
        value = Time(intervals=one.value.intervals + two.value.intervals)
    return replace(
        one,
        value=value,
        spans=(*one.spans, *two.spans),
        label=label_of(value, language),
        keep_words=one.keep_words or two.keep_words,
        note=one.note or two.note,
        alternatives=(),
    )
