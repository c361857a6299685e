from pathlib import Path

import pytest

from isthmus.labs.adapting import Work
from isthmus.labs.forgetting import CONNECTOR, FULL, HALF, REHEARSED, Run, Settings, draw, judge, lora_name, measure
from isthmus.labs.result import verdict

from .adapted import tiny_clothes, tiny_start

TINY = Settings(
    pairs=10, test=10, work=Work(steps=4, batch=5), ranks=(2,), rehearsed=2, passages=1, questions=2, full=0.01
)
LORA = lora_name(8)
TEXTS = "bits per byte: english"


def runs(gained: float, lost: float) -> list[Run]:
    return [Run(gained, {TEXTS: lost, "choices": 0.0}, 10)] * 3


def found(**changed: list[Run]) -> dict[str, list[Run]]:
    """As the textbook has it, but for what is given."""
    return {
        CONNECTOR: changed.get("connector", runs(0.6, 0.0)),
        LORA: changed.get("lora", runs(0.6, 0.005)),
        REHEARSED: changed.get("rehearsed", runs(0.6, 0.001)),
        FULL: changed.get("full", runs(0.6, 0.03)),
        HALF: changed.get("half", runs(0.59, 0.004)),
    }


def test_all_as_the_textbook_says_holds() -> None:
    assert verdict(judge(found(), LORA)) == "holds"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"full": runs(0.6, 0.004)}, "fails"),
        ({"full": runs(0.1, 0.03)}, "fails"),
        ({"connector": runs(0.6, 0.001)}, "fails"),
        ({"lora": runs(0.6, 0.04)}, "fails"),
        ({"connector": runs(0.2, 0.0)}, "depends"),
        ({"rehearsed": runs(0.4, 0.001)}, "depends"),
        ({"half": runs(0.3, 0.0)}, "depends"),
    ],
)
def test_where_a_part_does_not(changed: dict[str, list[Run]], expected: str) -> None:
    assert verdict(judge(found(**changed), LORA)) == expected


def test_choices_are_not_in_the_mean() -> None:
    assert Run(0.0, {TEXTS: 0.01, "bits per byte: code": 0.03, "choices": 0.5}, 1).forgot == pytest.approx(0.02)


def test_it_measures_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clothes(tmp_path, monkeypatch)
    tiny_start(monkeypatch, tmp_path / "cache")
    measured = measure(TINY, [0, 1], quiet=True)
    assert list(measured) == [CONNECTOR, lora_name(2), REHEARSED, FULL, HALF]
    assert all(len(each) == 2 for each in measured.values())
    assert all(share == 0 for run in measured[CONNECTOR] for share in run.lost.values())
    assert any(share != 0 for run in measured[FULL] for share in run.lost.values())
    full, half = measured[FULL][0], measured[HALF][0]
    assert full.trained == half.trained > measured[lora_name(2)][0].trained > measured[CONNECTOR][0].trained
    assert full.lost != half.lost
    assert len(draw(measured).axes) == 2
