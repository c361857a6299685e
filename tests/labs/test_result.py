import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.labs.result import Check, Figure, Finding, Result, Table, verdict
from isthmus.labs.work import Spent

from .figures import steady, unsure

YES = Check("yes", steady(1), "at least", 0.5)
NO = Check("no", steady(0), "at least", 0.5)
OPEN = Check("open", unsure(0, 1), "at least", 0.5)


def finding(*checks: Check, core: bool = True) -> Finding:
    return Finding("a part", checks, core)


def test_interval_is_students() -> None:
    figure = Figure((1, 2, 3))
    assert figure.mean == 2
    # 4.302653 standard errors of 1/sqrt 3, from any table of t with two degrees of freedom
    assert figure.half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert (figure.low, figure.high) == (2 - figure.half, 2 + figure.half)
    five = Figure((1, 2, 3, 4, 5))
    assert five.half == pytest.approx(2.776445 * (2.5 / 5) ** 0.5, rel=1e-6)


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two"):
        Figure((1.0,))


@pytest.mark.parametrize(
    ("figure", "sense", "outcome"),
    [
        (steady(0.6), "at least", "yes"),
        (steady(0.5), "at least", "yes"),
        (steady(0.4), "at least", "no"),
        (steady(0.6), "at most", "no"),
        (steady(0.5), "at most", "yes"),
        (steady(0.4), "at most", "yes"),
        # the mean is on the right side, the interval is not
        (unsure(0.45, 0.75), "at least", "open"),
        (unsure(0.25, 0.55), "at most", "open"),
        (unsure(0.60, 0.61), "at least", "yes"),
        (unsure(0.60, 0.61), "at most", "no"),
    ],
)
def test_a_check_needs_the_whole_interval(figure: Figure, sense: str, outcome: str) -> None:
    assert Check("x", figure, sense, 0.5).outcome == outcome  # type: ignore[arg-type]


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=6), st.floats(-10, 10))
def test_at_least_mirrors_at_most(values: list[float], limit: float) -> None:
    figure, mirrored = Figure(tuple(values)), Figure(tuple(-v for v in values))
    assert Check("x", figure, "at least", limit).outcome == Check("x", mirrored, "at most", -limit).outcome


def test_a_finding_is_as_good_as_its_worst_check() -> None:
    assert finding(YES, YES).outcome == "yes"
    assert finding(YES, OPEN).outcome == "open"
    assert finding(YES, OPEN, NO).outcome == "no"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ((finding(YES), finding(YES, core=False)), "holds"),
        ((finding(YES), finding(NO, core=False)), "depends"),
        ((finding(YES), finding(OPEN)), "depends"),
        ((finding(YES), finding(NO)), "fails"),
        ((finding(NO), finding(YES, core=False)), "fails"),
        ((finding(OPEN), finding(NO), finding(NO, core=False)), "fails"),
    ],
)
def test_verdict(findings: tuple[Finding, ...], expected: str) -> None:
    assert verdict(findings) == expected


def result() -> Result:
    return Result(
        lab="x",
        claim="it is so",
        findings=(finding(YES), finding(NO, core=False)),
        tables=(Table("a table", {"one": {"a": steady(1), "b": steady(2)}, "two": {"b": steady(3)}}),),
        settings={"steps": 3, "sizes": (1, 2)},
        seeds=(0, 1, 2),
        plot=Path("x.png"),
        spent=Spent(1.26, 2.0),
    )


def test_json() -> None:
    read = json.loads(json.dumps(result().to_json()))
    assert list(read) == [
        "lab", "claim", "verdict", "findings", "tables", "confidence", "seeds", "settings", "plot", "seconds",
        "cpu_seconds",
    ]  # fmt: skip
    assert (read["lab"], read["verdict"], read["seeds"], read["seconds"]) == ("x", "depends", [0, 1, 2], 1.3)
    assert [f["outcome"] for f in read["findings"]] == ["yes", "no"]
    assert read["findings"][1]["checks"][0] == {
        "what": "no", "sense": "at least", "limit": 0.5, "outcome": "no", "mean": 0.0, "low": 0.0, "high": 0.0,
        "values": [0, 0, 0],
    }  # fmt: skip
    assert read["tables"][0]["rows"]["two"] == {"b": {"mean": 3.0, "low": 3.0, "high": 3.0, "values": [3, 3, 3]}}


def test_text_shows_figures_checks_and_verdict() -> None:
    lines = result().to_text().splitlines()
    assert lines[0] == "claim: it is so"
    assert [line.split() for line in lines[3:6]] == [
        ["a", "b"],
        ["one", "1.000", "±", "0.000", "2.000", "±", "0.000"],
        ["two", "3.000", "±", "0.000"],
    ]
    assert lines[5].index("3.000") == lines[4].index("2.000")
    assert "    no: 0.000 ± 0.000, to be at least 0.5: no" in lines
    assert "verdict: the claim depends" in lines
