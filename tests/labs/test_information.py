from collections.abc import Mapping

import pytest
import torch

from isthmus.labs.asked import KINDS
from isthmus.labs.information import (
    ALL,
    ARMS,
    AVERAGED,
    CROSS,
    FEW,
    JOINED,
    LOOKING,
    QFORMER,
    Measured,
    Settings,
    judge,
    measure,
)
from isthmus.labs.reader import Schedule
from isthmus.labs.result import Figure, verdict
from isthmus.labs.scenes import MEAN

from .figures import steady, unsure

TINY = Settings(
    pictures=40, test=12, side=96, factor=3, width=16, layers=1, answering=Schedule(steps=2, batch=4),
    rebuilding=Schedule(steps=2, batch=4),
)  # fmt: skip
CLAIMED = {AVERAGED: 0.3, JOINED: 0.4, QFORMER: 0.6, CROSS: 0.8, ALL: 0.5, LOOKING: 0.9}


def made_up(
    answers: Mapping[str, Figure] | None = None,
    probes: Mapping[str, Figure] | None = None,
    rebuilt: Mapping[str, Figure] | None = None,
) -> Measured:
    """Everything as the textbook has it, but for what is given."""
    claimed = {arm: steady(value) for arm, value in CLAIMED.items()}
    return Measured(
        answers={arm: {MEAN: figure} for arm, figure in (claimed | dict(answers or {})).items()},
        probes={arm: {MEAN: figure} for arm, figure in (claimed | dict(probes or {})).items()},
        rebuilt={arm: {"explained": figure} for arm, figure in (claimed | dict(rebuilt or {})).items()},
    )


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up())] == ["yes"] * 5
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "measured",
    [
        made_up({ALL: steady(0.85)}),  # a linear map keeps every token
        made_up({JOINED: steady(0.7)}),
        made_up({AVERAGED: steady(0.7)}),
        made_up({QFORMER: steady(0.81)}),
    ],
)
def test_a_core_part_refuted_fails(measured: Measured) -> None:
    assert verdict(judge(measured)) == "fails"


@pytest.mark.parametrize(
    "measured",
    [
        made_up({QFORMER: unsure(0.7, 0.9)}),
        made_up(probes={JOINED: steady(0.7)}),
        made_up(rebuilt={AVERAGED: steady(0.9)}),
        made_up({LOOKING: steady(0.1)}),
    ],
)
def test_a_part_open_or_bounded_depends(measured: Measured) -> None:
    assert verdict(judge(measured)) == "depends"


def test_measure_runs_every_connector_and_repeats_itself() -> None:
    torch.manual_seed(5)
    first = measure(TINY, range(2), quiet=True)
    assert first == measure(TINY, range(2), quiet=True)
    assert tuple(first.answers) == ARMS
    assert tuple(first.probes) == tuple(first.rebuilt) == (*FEW, ALL)
    assert all(tuple(row) == (*KINDS, MEAN) for row in (*first.answers.values(), *first.probes.values()))
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))  # the caller's random state is left alone
