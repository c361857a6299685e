"""A query with one chip changed: each function gives a new query and leaves the old one as it is."""

from dataclasses import replace

from isthmus.errors import InputError
from isthmus.photos.query.explain import label_of
from isthmus.photos.query.model import Alternative, Chip, Query, Value, Words


def without(query: Query, index: int) -> Query:
    """The query without that chip; its words are remembered as removed."""
    chip = _chip(query, index)
    chips = query.chips[:index] + query.chips[index + 1 :]
    return replace(query, chips=chips, removed=tuple(sorted({*query.removed, *chip.spans})))


def with_value(query: Query, index: int, value: Value) -> Query:
    """The query with another value on that chip: an alternative of it, or what a person chose instead."""
    chip = _chip(query, index)
    new = replace(
        chip,
        value=value,
        label=label_of(value, query.language),
        keep_words=False,
        note="",
        alternatives=_others(chip, value),
    )
    return _with(query, index, new)


def with_alternative(query: Query, index: int, which: int) -> Query:
    """The query with the chip's `which`-th other reading; the reading it had becomes one of the alternatives."""
    chip = _chip(query, index)
    if not 0 <= which < len(chip.alternatives):
        raise InputError(f"the chip has no alternative {which}", todo="choose one that is listed")
    return with_value(query, index, chip.alternatives[which].value)


def as_words(query: Query, index: int) -> Query:
    """The query with that chip's words searched for in the picture instead of the condition."""
    chip = _chip(query, index)
    words = " ".join(query.sentence[start:end] for start, end in chip.spans).strip()
    return _with(query, index, Chip(Words(words), chip.spans, words))


def inverted(query: Query, index: int) -> Query:
    """The query with that chip meaning the opposite: "in Paris" becomes "not in Paris" and back."""
    chip = _chip(query, index)
    return _with(query, index, replace(chip, negative=not chip.negative, keep_words=False))


def _others(chip: Chip, value: Value) -> tuple[Alternative, ...]:
    if all(other.value != value for other in chip.alternatives):
        return ()
    old = Alternative(chip.label, chip.value)
    return tuple(old if other.value == value else other for other in chip.alternatives)


def _with(query: Query, index: int, chip: Chip) -> Query:
    return replace(query, chips=(*query.chips[:index], chip, *query.chips[index + 1 :]))


def _chip(query: Query, index: int) -> Chip:
    if not 0 <= index < len(query.chips):
        raise InputError(f"there is no chip {index}", why=f"the query has {len(query.chips)}")
    return query.chips[index]
