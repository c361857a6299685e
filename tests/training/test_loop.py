"""The loop goes on exactly, weighs tokens alike however they are split, and loses nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from isthmus.errors import CorruptPart, InputError, MissingPart
from isthmus.training.checkpoint import OPTIMISER, WEIGHTS
from isthmus.training.loop import Diverged, Group, LoopSettings, train

from .toy import Draws, Numbers, Toy, losses

STEPS = 20
ROOT = Path(__file__).parents[2]


def settings(**changed) -> LoopSettings:
    return LoopSettings(**{"steps": STEPS, "checkpoint_every": 5, "average": 0.9, "precision": "float32", **changed})


def last_state(out: Path, step: int = STEPS) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    folder = out / "checkpoints" / f"step-{step:06d}"
    state = json.loads((folder / "state.json").read_text())
    tensors = {
        f"{name} {key}": each
        for name in (WEIGHTS, "average.safetensors")
        for key, each in load_file(folder / name).items()
    }
    optimiser = torch.load(folder / OPTIMISER, weights_only=True)["state"]
    return tensors | {f"{key} {k}": v for key, each in optimiser.items() for k, v in each.items()}, state


def assert_equal_bit_for_bit(a: Path, b: Path) -> None:
    (mine, state), (other, its) = last_state(a), last_state(b)
    assert state == its
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[key], other[key]) for key in mine)
    assert losses(a) == losses(b)


@pytest.mark.parametrize("broken_at", [1, 5, 7, 19])
def test_stopped_and_resumed_it_is_the_unbroken_run_bit_for_bit(tmp_path, broken_at):
    train(Toy(), Draws(), settings(), tmp_path / "whole", quiet=True)
    seen = 0

    class Leaving(Draws):
        def __next__(self):
            nonlocal seen
            seen += 1
            if seen == broken_at + 1:
                raise KeyboardInterrupt  # as a kill does it, nothing is kept now
            return super().__next__()

    with pytest.raises(KeyboardInterrupt):
        train(Toy(), Leaving(), settings(), tmp_path / "broken", quiet=True)
    torch.rand(7)  # whatever happens to the generators between
    ended = train(Toy(), Draws(), settings(), tmp_path / "broken", resume=True, quiet=True)
    assert (ended.step, ended.why) == (STEPS, "done")
    assert_equal_bit_for_bit(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_step_and_keeps_it(tmp_path, name):
    told = [*run(tmp_path / "out", "--signal-at", "7", "--signal", name, "--dropout", "0.2")]
    assert told == [{"step": 8, "why": "stopped"}]
    assert run(tmp_path / "out", "--resume", "--dropout", "0.2") == [{"step": STEPS, "why": "done"}]
    train(Toy(), Draws(), settings(), tmp_path / "whole", quiet=True)
    assert_equal_bit_for_bit(tmp_path / "whole", tmp_path / "out")


def run(out: Path, *more: str, ranks: int = 1, **environment: str) -> list[dict[str, object]]:
    """What the first rank says, having run to the end."""
    started = []
    for rank in range(ranks):
        own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 29511}
        joint = {key: str(each) for key, each in own.items()} if ranks > 1 else {}
        env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **joint, **environment}
        command = [sys.executable, "-m", "tests.training.toy", str(out), str(STEPS), *more]
        started.append(subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    try:
        told = [process.communicate(timeout=180)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * ranks
    return [json.loads(line) for line in told[0].splitlines() if line.startswith("{")]
