"""Two processes train a composed model as one does: pictures and texts mixed, connector and LoRA, however arranged."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from isthmus.training.checkpoint import WEIGHTS

from .conversing import STEPS, learn
from .test_loop import run
from .toy import losses

pytestmark = pytest.mark.xdist_group("conversing")  # the ranks are started once


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """By one process, two batches a step, and by two with one each."""
    folder = tmp_path_factory.mktemp("conversing")
    learn(folder / "one", STEPS, accumulate=2)
    run(folder / "two", ranks=2, module="tests.training.conversing")
    return folder / "one", folder / "two"


@pytest.mark.parametrize("arrange", STEPS)
def test_two_ranks_learn_what_one_does(learned: tuple[Path, Path], arrange: str) -> None:
    mine, its = (losses(out / arrange) for out in learned)
    assert len(mine) == STEPS[arrange]
    assert mine[-1] < mine[0] - 0.1
    assert its == pytest.approx(mine, rel=1e-5)
    one, two = (load_file(out / arrange / "checkpoints" / f"step-{STEPS[arrange]:06d}" / WEIGHTS) for out in learned)
    assert any("lora_B" in name for name in one) and any("connector" in name for name in one)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arrange", ["order", "length"])
def test_a_rank_with_texts_alone_keeps_nobody_waiting(learned: tuple[Path, Path], arrange: str) -> None:
    """It was so in some steps, for either rank, and all steps were made."""
    seen = [read(learned[1] / arrange / f"seen-{rank}.jsonl") for rank in (0, 1)]
    shown = {(mine > 0, its > 0) for mine, its in zip(*seen, strict=True)}
    assert {(True, False), (False, True)} <= shown


def read(path: Path) -> list[int]:
    return [json.loads(line)["pictures"] for line in path.read_text().splitlines()]
