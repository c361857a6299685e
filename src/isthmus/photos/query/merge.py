"""Conditions that no photo can satisfy together become one that either satisfies: "from Paris to Rome"."""

from dataclasses import fields, replace

from isthmus.photos.query.explain import label_of
from isthmus.photos.query.gazetteer import contains
from isthmus.photos.query.model import Chip, Interval, Kind, Language, Places, Time, Value


def exclusive(chips: list[Chip], language: Language) -> list[Chip]:
    """`chips` with those that exclude each other joined: places, times of one sort, kinds of file."""
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
    if isinstance(one.value, Kind) and isinstance(two.value, Kind):
        return True
    if isinstance(one.value, Time) and isinstance(two.value, Time):
        first, second = _only(one.value), _only(two.value)
        if first is None or first != second:
            return False
        if first == "intervals":
            return not any(_meet(a, b) for a in one.value.intervals for b in two.value.intervals)
        return not set(getattr(one.value, first)) & set(getattr(two.value, first))
    return False


def _only(time: Time) -> str | None:
    """The name of the one field that says something; hours may meet, so they are not among those that exclude."""
    filled = [field.name for field in fields(time) if getattr(time, field.name)]
    return filled[0] if len(filled) == 1 and filled != ["hours"] else None


def _meet(one: Interval, two: Interval) -> bool:
    return (one.start is None or two.end is None or one.start < two.end) and (
        two.start is None or one.end is None or two.start < one.end
    )


def _both(one: Chip, two: Chip, language: Language) -> Chip:
    if isinstance(one.value, Places) and isinstance(two.value, Places):
        value: Value = Places(one.value.any_of + two.value.any_of)
    elif isinstance(one.value, Kind) and isinstance(two.value, Kind):
        value = Kind(tuple(dict.fromkeys(one.value.any_of + two.value.any_of)))
    else:
        name = _only(one.value) if isinstance(one.value, Time) else None
        assert name is not None
        value = replace(one.value, **{name: getattr(one.value, name) + getattr(two.value, name)})
    return replace(
        one,
        value=value,
        spans=(*one.spans, *two.spans),
        label=label_of(value, language),
        keep_words=one.keep_words or two.keep_words,
        note=one.note or two.note,
        alternatives=(),
    )
