from collections.abc import Mapping

import pytest
import torch

from isthmus.labs.negatives import CONTROLS, MEASURES, Measured, Measures, Settings, _measures, judge, measure
from isthmus.labs.one_sided import PositivesOnly, StopGradient
from isthmus.labs.result import Figure, verdict

from .figures import steady, unsure

TINY = Settings(
    batch=16, width=4, hidden=8, test_pairs=40, measured_at=(0, 2, 3), sweep_steps=2, temperatures=(0.1,),
    group_sizes=(8, 16),
)  # fmt: skip
CHANCE = 0.02


def made_up(**changes: Mapping[str, Figure]) -> Measured:
    """Everything as the textbook has it, but for `changes` of an objective (spaces as underscores)."""
    point = {"uniformity": steady(0), "effective rank": steady(1), "R@10": steady(CHANCE)}
    space = {"uniformity": steady(-3), "effective rank": steady(20), "R@10": steady(0.8)}
    final: dict[str, Measures] = {"InfoNCE": space} | {
        name: dict(point) for name in ("positives only", "negatives only", *CONTROLS)
    }
    for name, change in changes.items():
        final[name.replace("_", " ")].update(change)
    return Measured({name: (row,) for name, row in final.items()}, {}, {}, CHANCE)


def test_all_as_the_textbook_says_holds() -> None:
    assert [finding.outcome for finding in judge(made_up())] == ["yes"] * 5
    assert verdict(judge(made_up())) == "holds"


@pytest.mark.parametrize(
    "changes",
    [
        {"positives_only": {"uniformity": steady(-2)}},
        {"positives_only": {"effective rank": steady(9)}},
        {"InfoNCE": {"uniformity": steady(-0.05)}},
        {"InfoNCE": {"R@10": steady(CHANCE)}},
        {"negatives_only": {"R@10": steady(0.6)}},
    ],
)
def test_a_core_part_refuted_fails(changes: dict[str, Measures]) -> None:
    assert verdict(judge(made_up(**changes))) == "fails"


@pytest.mark.parametrize(
    "changes",
    [
        {"variance_kept": {"R@10": steady(0.7)}},  # a control does without negatives
        {"positives_only": {"R@10": steady(0.3)}},  # the point keeps an order
        {"positives_only": {"uniformity": unsure(-0.3, 0)}},  # too few seeds to say
    ],
)
def test_a_part_open_or_bounded_depends(changes: dict[str, Measures]) -> None:
    assert verdict(judge(made_up(**changes))) == "depends"


def test_the_best_control_counts_seed_by_seed() -> None:
    """One control is good with one seed, the other with the rest: together there always is one."""
    changes = {"stop-gradient": {"R@10": Figure((0.8, 0.0, 0.0))}, "variance kept": {"R@10": Figure((0.0, 0.8, 0.8))}}
    check = judge(made_up(**changes))[3].checks[0]
    assert check.figure.values == (1.0, 1.0, 1.0)


def test_a_collapsed_pair_of_encoders_measures_as_one() -> None:
    point = torch.ones(30, 4)
    found = _measures(point, point, PositivesOnly())
    assert tuple(found) == MEASURES
    assert found["uniformity"] == pytest.approx(0, abs=1e-5)
    assert found["effective rank"] == pytest.approx(1, abs=1e-3)
    assert found["alignment"] == 0
    assert found["R@10"] == 0  # ties count against the model


def test_partners_of_a_stop_gradient_meet_through_its_predictors() -> None:
    """Two towers in mirrored spaces, and predictors that mirror: every partner is found, and not without them."""
    images = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    loss = StopGradient(4, 8)
    loss.of_images = loss.of_texts = torch.nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        loss.of_images.weight.copy_(-torch.eye(4))
        assert _measures(images, -images, loss)["R@1"] == 1
        assert _measures(images, -images, PositivesOnly())["R@10"] == 0


def test_measure_runs_every_objective_and_repeats_itself() -> None:
    first, second = (measure(TINY, range(2), quiet=True) for _ in range(2))
    assert first == second
    assert [*first.courses] == [
        "InfoNCE", "sigmoid (SigLIP)", "positives only", "negatives only", "stop-gradient", "variance kept"
    ]  # fmt: skip
    assert all(len(course) == 3 for course in first.courses.values())
    start = [course[0]["uniformity"] for course in first.courses.values()]
    assert start == [start[0]] * 6  # the same encoders and pictures before the first step
    assert first.group_sizes[16] != first.group_sizes[8]
    assert first.chance_at_10 == 10 / 40


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    measure(TINY, range(2), quiet=True)
    assert torch.equal(torch.rand(1), expected)
