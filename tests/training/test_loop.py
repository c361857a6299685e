"""The loop goes on exactly, weighs tokens alike however they are split, and loses nothing."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from isthmus.errors import CorruptPart, InputError, MissingPart
from isthmus.training.checkpoint import OPTIMISER, WEIGHTS
from isthmus.training.loop import Diverged, LoopSettings, train

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


def run(
    out: Path, *more: str, ranks: int = 1, module: str = "tests.training.toy", **environment: str
) -> list[dict[str, object]]:
    """What the first rank says, having run to the end."""
    started = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for rank in range(ranks):
        own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        joint = {key: str(each) for key, each in own.items()} if ranks > 1 else {}
        env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **joint, **environment}
        command = [sys.executable, "-m", module, str(out), str(STEPS), *more]
        started.append(subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    try:
        told = [process.communicate(timeout=180)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * ranks
    return [json.loads(line) for line in told[0].splitlines() if line.startswith("{")]


def test_two_ranks_learn_what_one_does(tmp_path):
    """The joint batch is the same: two batches a step of one rank, or one of each of two."""
    run(tmp_path / "one", "--accumulate", "2")
    run(tmp_path / "two", ranks=2)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    (mine, _), (other, _) = last_state(tmp_path / "one"), last_state(tmp_path / "two")
    for key, value in mine.items():
        torch.testing.assert_close(other[key], value, rtol=1e-4, atol=1e-6)


def test_fsdp2_learns_the_same_saves_and_resumes(tmp_path):
    sharded = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "ACCELERATE_USE_CPU": "true"}
    run(tmp_path / "one", "--accumulate", "2")
    told = run(tmp_path / "shards", "--signal-at", "7", ranks=2, **sharded)
    assert told == [{"step": 8, "why": "stopped"}]
    run(tmp_path / "shards", "--resume", ranks=2, **sharded)
    assert losses(tmp_path / "shards") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    (mine, _), (other, _) = last_state(tmp_path / "one"), last_state(tmp_path / "shards")
    assert mine.keys() == other.keys()
    for key, value in mine.items():
        torch.testing.assert_close(other[key], value, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_no_number_stops_says_which_batch_and_keeps_what_was_good(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(Diverged, match=r"step 8: the loss is nan .* of draw 7 .*step 7 is kept"):
        train(Toy(), Draws(poisoned=7), settings(), out, quiet=True)
    (kept, state) = last_state(out, 7)
    assert state["step"] == 7 and state["batches"] == {"at": 7}
    assert all(each.isfinite().all() for each in kept.values())
    assert train(Toy(), Draws(), settings(), out, resume=True, quiet=True).step == STEPS


def test_the_two_newest_are_kept_and_a_damaged_one_is_said(tmp_path, capsys):
    out = tmp_path / "out"
    train(Toy(), Draws(), settings(), out, quiet=True)
    kept = sorted(each.name for each in (out / "checkpoints").iterdir())
    assert kept == ["step-000015", "step-000020"]
    (out / "checkpoints" / kept[1] / WEIGHTS).write_bytes(b"half of it")
    whole = losses(out)
    ended = train(Toy(), Draws(), settings(), out, resume=True, quiet=True)
    assert (
        "step-000020 is damaged (model.safetensors has another hash); taking the one before" in capsys.readouterr().err
    )
    assert ended.step == STEPS and losses(out) == whole
    for name in kept:
        (out / "checkpoints" / name / WEIGHTS).write_bytes(b"half of it")
    with pytest.raises(CorruptPart, match=r"no checkpoint in .* is whole"):
        train(Toy(), Draws(), settings(), out, resume=True, quiet=True)


def test_a_full_disk_is_said_and_what_was_kept_stays(tmp_path, monkeypatch):
    out = tmp_path / "out"
    train(Toy(), Draws(), settings(steps=5), out, quiet=True)
    before = {path: path.read_bytes() for path in (out / "checkpoints").rglob("*") if path.is_file()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("isthmus.training.checkpoint.torch.save", full)
    with pytest.raises(MissingPart, match="No space left on device"):
        train(Toy(), Draws(), settings(), out, resume=True, quiet=True)
    assert {path: path.read_bytes() for path in (out / "checkpoints").rglob("*") if path.is_file()} == before


def test_what_is_there_is_not_overwritten(tmp_path):
    train(Toy(), Draws(), settings(steps=5), tmp_path, quiet=True)
    with pytest.raises(InputError, match="holds a training already"):
        train(Toy(), Draws(), settings(), tmp_path, quiet=True)


def test_another_model_is_refused(tmp_path):
    train(Toy(), Draws(), settings(steps=5), tmp_path, quiet=True)
    other = Toy()
    other.module.last.requires_grad_(False)
    with pytest.raises(CorruptPart, match=r"is of another model or trains other parts: last\.bias"):
        train(other, Draws(), settings(), tmp_path, resume=True, quiet=True)


def test_patience_ends_it_with_the_best(tmp_path):
    figures = iter([5.0, 3.0, 4.0, 3.5, 1.0])
    seen = []

    def evaluate():
        seen.append(task.module.last.weight.detach().clone())
        return {"loss": next(figures)}

    task = Toy()
    ended = train(
        task, Draws(), settings(evaluate_every=2, patience=2, average=None), tmp_path, evaluate=evaluate, quiet=True
    )
    assert (ended.step, ended.why, ended.best) == (8, "no better", 3.0)
    assert torch.equal(task.module.last.weight, seen[1]) and not torch.equal(seen[1], seen[3])
    again = Toy()
    ended = train(
        again,
        Draws(),
        settings(evaluate_every=2, patience=2, average=None),
        tmp_path,
        evaluate=evaluate,
        resume=True,
        quiet=True,
    )
    assert (ended.step, ended.why) == (8, "no better")
    assert torch.equal(again.module.last.weight, seen[1])


def test_the_average_is_what_is_evaluated_and_what_it_ends_with(tmp_path):
    seen = []
    task = Toy(dropout=0.0)
    train(
        task,
        Draws(),
        settings(evaluate_every=10),
        tmp_path,
        evaluate=lambda: seen.append(task.module.last.bias.detach().clone()) or {},
        quiet=True,
    )
    tensors, _ = last_state(tmp_path)
    assert len(seen) == 2 and torch.equal(seen[1], task.module.last.bias)
    assert not torch.equal(tensors[f"{WEIGHTS} last.bias"], task.module.last.bias)
    assert any(torch.equal(each, task.module.last.bias) for key, each in tensors.items() if key.startswith("average"))


def test_nothing_to_train_is_said(tmp_path):
    task = Toy()
    task.module.requires_grad_(False)
    with pytest.raises(InputError, match="nothing is trained"):
        train(task, Draws(), settings(), tmp_path, quiet=True)


def test_a_batch_weighs_what_is_in_it():
    """Accumulated, the gradient is that of all rows at once, however they are parted."""
    task = Toy(dropout=0.0)
    batches = [Numbers(seed) for seed in (1, 3, 2)]
    count = sum(task.weight(each) for each in batches)
    for each in batches:
        task.module(each, count)["loss"].backward()
    parted = task.module.first.weight.grad.clone()
    task.module.zero_grad()
    joint = Numbers(0)
    joint.x, joint.y = torch.cat([each.x for each in batches]), torch.cat([each.y for each in batches])
    task.module(joint, count)["loss"].backward()
    torch.testing.assert_close(parted, task.module.first.weight.grad)


def test_groups_part_matrices_from_the_rest(tmp_path):
    train(Toy(), Draws(), settings(steps=5), tmp_path, quiet=True)
    rates = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])["rate"]
    assert set(rates) == {"first", "first, no decay", "last", "last, no decay"}
    assert rates["last"] == pytest.approx(3 * rates["first"])


@pytest.mark.parametrize("order", [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_two_trainings_of_a_process_may_differ_in_precision(order: tuple[str, str], tmp_path: Path) -> None:
    """accelerate keeps one precision for a whole process; the loop's is its own."""
    found = {}
    for precision in order:
        out = tmp_path / precision
        train(Toy(), Draws(), settings(steps=3, precision=precision), out, quiet=True)
        found[precision] = losses(out)
    assert found["float32"] != found["bfloat16"]
    assert found["float32"] == pytest.approx(found["bfloat16"], rel=0.1)
