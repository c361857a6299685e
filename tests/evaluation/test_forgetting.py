"""The gate: what was lost, against a budget."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from isthmus.contrastive.metrics import Interval
from isthmus.errors import InputError, MissingPart
from isthmus.evaluation.forgetting import gate, parse_budget
from isthmus.evaluation.plane import Place, draw
from isthmus.evaluation.probes import Probe
from tests.evaluation.packages import required


def right(*values: float, name: str = "choices", items: str = "same") -> Probe:
    return Probe(name, "higher", "mean", np.array(values, dtype=np.float64)[:, None], ("a",) * len(values), items)


def bits(*values: float, name: str = "bits per byte: code") -> Probe:
    rows = np.array([[each, 10.0, 4.0] for each in values])
    return Probe(name, "lower", "ratio", rows, ("code",) * len(values), "same")


@given(
    arrays(np.float64, st.tuples(st.integers(1, 20), st.just(1)), elements=st.sampled_from([0.0, 1.0])),
    st.integers(0, 3),
)
def test_what_is_equal_bit_for_bit_forgot_exactly_nothing(rows: np.ndarray, seed: int) -> None:
    probe = Probe("choices", "higher", "mean", rows, ("a",) * len(rows), "same")
    found = gate([probe], [probe], 0.0, seed=seed)
    assert vars(found.losses[0].share) == {"value": 0, "low": 0, "high": 0}
    assert found.within
    assert found.losses[0].certain
    assert found.mean == 0


def test_a_loss_is_a_share_of_what_there_was() -> None:
    found = gate([right(*[1] * 40, 0)], [right(*[1] * 30, *[0] * 11)], 0.2)
    assert found.losses[0].share.value == pytest.approx(0.25)
    assert not found.within
    assert not found.losses[0].certain, "ten items of forty may as well be eight"
    assert gate([right(*[1] * 40, 0)], [right(*[1] * 30, *[0] * 11)], 0.25).within


def test_a_loss_that_may_be_none_is_not_over_the_budget() -> None:
    """One of five items less is a fifth, and may be chance."""
    found = gate([right(1, 1, 1, 1, 0)], [right(1, 1, 1, 0, 0)], 0.1)
    assert found.losses[0].share.value == pytest.approx(0.25)
    assert found.losses[0].share.low == 0
    assert found.within
    assert not found.losses[0].certain


def test_the_worst_is_one_that_is_over_the_budget() -> None:
    before = [right(1, 1, 1, 1), bits(10, 10, 10, 10)]
    after = [right(1, 1, 1, 0), bits(11, 11, 11, 11)]
    found = gate(before, after, 0.05)
    assert found.losses[0].share.value > found.losses[1].share.value
    assert found.worst.probe == "bits per byte: code"


def test_where_lower_is_better_more_is_lost() -> None:
    found = gate([bits(10, 10, 10)], [bits(11, 11, 11)], 0.01)
    assert found.losses[0].share.value == pytest.approx(0.1)
    assert found.losses[0].certain
    assert not found.within


def test_a_gain_is_a_negative_loss_and_makes_up_for_no_other() -> None:
    before, after = [right(0, 1, 1), bits(10, 10)], [right(1, 1, 1), bits(12, 12)]
    found = gate(before, after, 0.05)
    assert [round(loss.share.value, 3) for loss in found.losses] == [-0.5, 0.2]
    assert not found.within
    assert found.worst.probe == "bits per byte: code"
    assert found.mean == pytest.approx(0.2), "of texts alone"
    assert gate([right(1, 1)], [right(1, 0)], 0.05).mean == pytest.approx(0.5), "where there are none, of all"


def test_of_nothing_nothing_is_lost() -> None:
    found = gate([right(0, 0)], [right(1, 0)], 0.0)
    assert found.losses[0].share.value == 0
    assert found.within


def test_losses_are_paired_item_by_item() -> None:
    """Every item lost the same share: the interval is a point, however much the items differ."""
    found = gate([bits(1, 100, 5, 60)], [bits(1.02, 102, 5.1, 61.2)], 0.01)
    share = found.losses[0].share
    assert (share.low, share.high) == (pytest.approx(0.02), pytest.approx(0.02))


def test_only_what_both_have_is_compared_and_on_the_same_items() -> None:
    found = gate([right(1, 1), bits(1)], [right(1, 0)], 0.01)
    assert [loss.probe for loss in found.losses] == ["choices"]
    with pytest.raises(InputError, match="no probe in common"):
        gate([right(1)], [bits(1)], 0.01)
    with pytest.raises(InputError, match="measured on other items"):
        gate([right(1)], [right(1, items="other")], 0.01)
    with pytest.raises(InputError, match="measured on other items"):
        gate([right(1)], [right(1, 1)], 0.01)


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), (" 0.5 %", 0.005), ("0%", 0.0), ("100%", 1.0), ("2％", 0.02)]
)
def test_budgets(text: str, share: float) -> None:
    assert parse_budget(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["1", "0.01", "-1%", "101%", "%", "one", ""])
def test_a_budget_is_a_percentage(text: str) -> None:
    with pytest.raises(InputError, match="is no percentage"):
        parse_budget(text)


def test_the_gate_as_json() -> None:
    value = json.loads(json.dumps(gate([right(1, 1)], [right(0, 0)], 0.01).to_json()))
    assert (value["within"], value["budget"]) == (False, 0.01)
    assert value["probes"][0]["loss"]["value"] == 1


def places() -> list[Place]:
    lost = gate([right(1, 1), bits(10)], [right(1, 0), bits(11)], 0.01)
    start = gate([right(1, 1), bits(10)], [right(1, 1), bits(10)], 0.01)
    return [
        Place("before", Interval(0, 0, 0), start),
        Place("0.5", None, start),
        Place("after", Interval(0.3, 0.2, 0.4), lost),
    ]


def test_the_plane_is_drawn(tmp_path: Path) -> None:
    required("matplotlib")
    draw(places(), tmp_path / "new" / "plane.png", learned="exact match", budget=0.01)
    with Image.open(tmp_path / "new" / "plane.png") as image:
        assert image.size > (300, 300)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10


def test_without_matplotlib_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPart, match="isthmus\\[evaluate\\]"):
        draw(places(), tmp_path / "plane.png", learned="x", budget=0.01)
