"""Rules are true, false or unknown of a photo, and combine as Kleene's logic says."""

from datetime import datetime

import pytest
from benchmarks.photo_library.phrases import between
from benchmarks.photo_library.rules import (
    All,
    AtHours,
    In,
    Is,
    Not,
    OnWeekdays,
    Reads,
    Rule,
    Shows,
    Verdict,
    With,
    everything,
)
from benchmarks.photo_library.truth import Photo

from .photos import photo

UNKNOWN = In("Barcelona"), photo(placed="none")


@pytest.mark.parametrize(
    ("rule", "of", "verdict"),
    [
        (Shows("rooster"), photo("rooster"), True),
        (Shows("bird"), photo("rooster"), True),
        (Shows("rooster"), photo("chicken"), False),
        (Shows("cat"), photo("lion"), None),
        (Shows("cat"), photo("lion", "cat"), True),
        (Shows("tree"), photo(maybe=("tree",)), None),
        (Shows("plant"), photo(maybe=("tree",)), None),
        (Shows("bicycle"), photo("tricycle"), None),
        (Shows("piano"), photo("cello"), False),
        (Shows("person"), photo(people=2), True),
        (Shows("person"), photo("statue"), None),
        (Shows("person"), photo("dog"), False),
        (In("Barcelona"), photo(), True),
        (In("ES"), photo(), True),
        (In("FR"), photo(), False),
        (In("ES"), photo(placed="folder"), None),
        (In("ES"), photo(placed="sidecar"), True),
        (In("Paris"), photo(placed="none"), False),
        (With("canon"), photo(), True),
        (With("EOS 80D"), photo(), True),
        (With("Sony"), photo(), False),
        (Is("photo"), photo(kind="panorama"), True),
        (Is("photo"), photo(kind="screenshot"), False),
        (Is("video"), photo(), False),
        (Reads("wet floor"), photo(text=("WET  FLOOR", "x")), True),
        (Reads("出口"), photo(text=("出 口",)), True),
        (Reads("EXIT"), photo(text=("NO PARKING",)), False),
    ],
)
def test_what_a_photo_shows_says_and_is(rule: Rule, of: Photo, verdict: Verdict) -> None:
    assert rule.holds(of) is verdict


@pytest.mark.parametrize(
    ("rule", "changes", "verdict"),
    [
        (between("2019-08-12", "2019-08-13"), {}, True),
        (between("2019-08-13", "2019-08-14"), {}, False),
        (between("2019-08-13", "2019-08-14", 1), {}, None),
        (between("2019-08-12", "2019-08-13"), {"dated": "none"}, None),
        (between("2019-08-12", "2019-08-13"), {"dated": "day"}, True),
        (between("2019-08-12", "2019-08-13"), {"dated": "instant"}, None),
        (between("2019-08-01", "2019-09-01"), {"dated": "instant"}, True),
        (between("2019-08-13", "2019-08-14"), {"dated": "day"}, False),
        (between("2019-08-13", "2019-08-14"), {"dated": "instant"}, None),
        (between("2019-08-12", "2019-08-13"), {"time": datetime(2019, 8, 13)}, False),
        (AtHours(18, 22), {}, True),
        (AtHours(20, 22), {}, None),
        (AtHours(16, 18), {}, None),
        (AtHours(21, 23), {}, False),
        (AtHours(14, 17), {}, False),
        (AtHours(18, 22), {"dated": "day"}, None),
        (OnWeekdays((0,)), {}, True),
        (OnWeekdays((5, 6)), {}, False),
        (OnWeekdays((0,)), {"dated": "instant"}, None),
    ],
)
def test_when_a_photo_was_taken(rule: Rule, changes: dict[str, object], verdict: Verdict) -> None:
    assert rule.holds(photo(**changes)) is verdict


TRUE, FALSE = Shows("dog"), Shows("piano")


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ((TRUE, TRUE), True),
        ((TRUE, FALSE), False),
        ((TRUE, In("ES")), None),
        ((FALSE, In("ES")), False),
        ((Not(FALSE), TRUE), True),
        ((Not(In("ES")), TRUE), None),
    ],
)
def test_combinations(rules: tuple[Rule, ...], verdict: Verdict) -> None:
    assert All(rules).holds(photo("dog", placed="none")) is verdict


def test_one_rule_alone_is_itself_and_all_parts_are_met() -> None:
    assert everything(TRUE) is TRUE
    assert list(everything(TRUE, Not(FALSE)).parts) == [All((TRUE, Not(FALSE))), TRUE, Not(FALSE), FALSE]
