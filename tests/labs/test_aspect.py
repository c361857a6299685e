import pytest
import torch

from isthmus.labs.aspect import ALONE, ARMS, TOLD, Measured, Settings, judge, measure
from isthmus.labs.long import KINDS, LETTERBOX, NATIVE, READING, SHAPE, SQUASH, TILES, WHOLE
from isthmus.labs.reader import Schedule
from isthmus.labs.result import Figure, verdict
from isthmus.labs.scenes import MEAN

from .figures import steady, unsure

TINY = Settings(
    pictures=48, test=24, area=240**2, side=96, tile=32, width=16, layers=1, answering=Schedule(steps=2, batch=4)
)


def made_up(arm: str = NATIVE, kind: str = MEAN, figure: Figure = steady(0.9)) -> Measured:  # noqa: B008
    """Everything as the textbook has it, but for what is given."""
    long = {name: dict.fromkeys((*KINDS, MEAN), steady(0.9 if name == NATIVE else 0.5)) for name in ARMS}
    long[arm][kind] = figure
    return Measured(long, {}, {}, {})


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up())] == ["yes"] * 7
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "measured",
    [
        made_up(SQUASH, SHAPE, steady(0.85)),
        made_up(LETTERBOX, READING, steady(0.85)),
        made_up(ALONE, WHOLE, steady(0.85)),
        made_up(TILES, MEAN, steady(0.95)),
    ],
)
def test_a_core_part_refuted_fails(measured: Measured) -> None:
    assert verdict(judge(measured)) == "fails"


@pytest.mark.parametrize(
    "measured",
    [
        made_up(TOLD, SHAPE, steady(0.85)),
        made_up(SQUASH, READING, steady(0.85)),
        made_up(TILES, WHOLE, steady(0.85)),
        made_up(ALONE, WHOLE, unsure(0.5, 0.9)),
    ],
)
def test_a_part_open_or_bounded_depends(measured: Measured) -> None:
    assert verdict(judge(measured)) == "depends"


def test_measure_runs_every_fit_and_repeats_itself() -> None:
    torch.manual_seed(5)
    first = measure(TINY, range(2), quiet=True)
    assert first == measure(TINY, range(2), quiet=True)
    assert tuple(first.long) == tuple(first.square) == tuple(first.by_aspect) == ARMS
    assert all(tuple(row) == (*KINDS, MEAN) for row in (*first.long.values(), *first.square.values()))
    assert tuple(first.by_aspect[NATIVE]) == ("1:1", "2:1", "4:1", "8:1")
    assert first.tokens[ALONE] < first.tokens[TILES]
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))  # the caller's random state is left alone
