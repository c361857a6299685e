"""`isthmus latency` as a user meets it: what is predicted. The arithmetic is tested where it is done."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from isthmus.cli import latency
from tests.cli.conftest import Run
from tests.cli.processes import stdout_without

LLAVA = ("--model", "llava-1.5-7b", "--gpu", "a100-80g")


def test_predictions_need_no_torch() -> None:
    words = ("latency", "roofline", "--model", "llava-1.5-7b", "--gpu", "h100")
    out = stdout_without({"torch", "transformers", "matplotlib"}, *words)
    assert "llava-1.5-7b on H100 SXM, bf16: 512x512 = 576 tokens, 100 of text" in out
    assert "assumed: 60 % of peak FLOP/s, 70 % of bandwidth" in out


def test_roofline(run: Run) -> None:
    code, out, err = run("latency", "roofline", *LLAVA)
    assert (code, err) == (0, "")
    lines = {line.split("  ")[0]: line for line in out.splitlines() if line}
    assert "8.995 T" in lines["prefill"]
    assert "94.8 %" in lines["prefill"]
    assert "█" in lines["prefill"]
    assert lines["each later token"].rstrip().endswith("bandwidth 93 %")


def test_the_same_as_json(run: Run) -> None:
    code, out, _ = run("latency", "roofline", *LLAVA, "--compute-efficiency", 1, "--bandwidth-efficiency", 1, "--json")
    assert code == 0
    value = json.loads(out)
    assert value["efficiency"] == {"compute": 1, "bandwidth": 1}
    assert value["device"]["flops_per_second"]["bf16"] == 312e12
    assert set(value["parts"]) == {"encoder", "connector", "splice", "prefill", "sample"}
    assert sum(each["share"] for each in value["parts"].values()) == pytest.approx(1)
    assert value["first_token"]["seconds"] == pytest.approx(sum(each["seconds"] for each in value["parts"].values()))


def test_what_if(run: Run) -> None:
    code, out, _ = run("latency", "roofline", *LLAVA, "--what-if", "tokens=64 dtype=int8 cache=picture")
    assert code == 0
    assert "before: llava-1.5-7b on A100 80 GB, bf16: 512x512 = 576 tokens, 100 of text" in out
    assert "after:  llava-1.5-7b on A100 80 GB, int8, picture kept from before: 512x512 = 64 tokens" in out
    encoder = next(line for line in out.splitlines() if line.startswith("encoder"))
    assert encoder.rstrip().endswith("compute, then nothing")
    value = json.loads(run("latency", "roofline", *LLAVA, "--what-if", "tokens=64", "--json")[1])
    assert value["saved_seconds"] == pytest.approx(
        value["before"]["first_token"]["seconds"] - value["after"]["first_token"]["seconds"]
    )


def test_a_slow_claim(run: Run) -> None:
    code, out, _ = run("latency", "audit", *LLAVA, "--ttft", "450ms", "--share", "encoder=20", "--share", "prefill=75")
    assert code == 0
    assert "8.3 times as slow as predicted: 6.7 % of peak FLOP/s" in out
    assert "396 ms of it no part accounts for" in out
    encoder = next(line for line in out.splitlines() if line.startswith("encoder")).split()
    assert encoder[1:3] == ["20.0", "%"]
    assert encoder[5:7] == ["4.6", "%"]


def test_an_impossible_claim_ends_with_1(run: Run) -> None:
    code, out, _ = run("latency", "audit", *LLAVA, "--ttft", "20ms")
    assert code == 1
    assert "impossible: 1.5 times as fast as the floor" in out
    assert "on H100 SXM" in out
    code, out, _ = run("latency", "audit", *LLAVA, "--ttft", "20ms", "--json")
    assert code == 1
    assert json.loads(out)["verdict"] == "impossible"


def test_an_impossible_split_ends_with_1(run: Run) -> None:
    code, out, _ = run("latency", "audit", *LLAVA, "--ttft", "55ms", "--share", "prefill=30")
    assert code == 1
    assert "(impossible)" in out


def test_ridge(run: Run) -> None:
    code, out, _ = run("latency", "ridge", *LLAVA)
    assert code == 0
    assert "the ridge is at 130 tokens of prompt" in out
    assert "this prompt has 676, 5.2 times above: fewer tokens of the picture pay" in out
    value = json.loads(run("latency", "ridge", *LLAVA, "--text-tokens", 10, "--picture", "none", "--json")[1])
    assert value["prompt"] == 10
    assert set(value["prefill_seconds"]) == {"bf16", "int8", "int4"}


def test_sweep(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out" / "sweep.png"
    code, out, _ = run("latency", "sweep", *LLAVA, "--over", "tokens", "--values", "64,576", "--plot", path)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[-2:]] == [["64", "164"], ["576", "676"]]
    assert path.read_bytes().startswith(b"\x89PNG")
    value = json.loads(run("latency", "sweep", *LLAVA, "--over", "batch", "--json")[1])
    assert [each["batch"] for each in value["predictions"]] == [1, 2, 4, 8, 16, 32]


def test_a_model_too_large_is_said_to_be(run: Run) -> None:
    _, out, _ = run("latency", "roofline", "--model", "llava-1.5-13b", "--gpu", "t4")
    assert "does not fit: weights, keys and values take 27.3 GB, T4 has 16" in out
    assert "llava-1.5-13b on T4, fp16" in out  # it has no bf16


def test_this_machine(run: Run) -> None:
    code, out, err = run("latency", "roofline", "--model", "smolvlm-256m", "--dtype", "fp32")
    assert (code, err) == (0, "")
    assert "thread" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("roofline", "--model", "llava-9", "--gpu", "h100"), "there is no model 'llava-9' here: neither a name"),
        (("roofline", "--model", "llava-1.5-7b", "--gpu", "abacus"), "there is no device 'abacus' in the table"),
        (("roofline", *LLAVA, "--dtype", "int3"), "there is no dtype 'int3'"),
        (("roofline", *LLAVA, "--dtype", "fp8"), "A100 80 GB does not compute in fp8"),
        (("roofline", *LLAVA, "--picture", "big"), "'big' is no size of a picture"),
        (("roofline", *LLAVA, "--picture", "0x9"), "a picture of 0x9 is none"),
        (("roofline", *LLAVA, "--text-tokens", "0"), "text tokens cannot be 0"),
        (("roofline", *LLAVA, "--compute-efficiency", "2"), "an efficiency of 2 of compute is none"),
        (("roofline", *LLAVA, "--what-if", "speed=9"), "'speed=9' changes nothing"),
        (("audit", *LLAVA, "--ttft", "450"), "'450' is no duration"),
        (("audit", *LLAVA, "--ttft", "0ms"), "a first token after 0 s is none"),
        (("audit", *LLAVA, "--ttft", "1s", "--share", "eyes=3"), "'eyes=3' is no share"),
        (("sweep", *LLAVA, "--over", "time"), "there is no sweep over 'time'"),
        (("sweep", *LLAVA, "--over", "batch", "--values", "1,x"), "'1,x' are no values"),
    ],
)
def test_what_is_refused_in_a_line(run: Run, words: tuple[Any, ...], said: str) -> None:
    code, out, err = run("latency", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"isthmus: {said}")
    assert err.count("\n") == 1


def test_a_first_word_that_is_no_command_is_measured() -> None:
    """With a group like ours, and something to measure with."""
    group, asked = typer.Typer(cls=latency.MeasuresByDefault, no_args_is_help=True), list[tuple[object, ...]]()

    @group.command("measure")
    def measure(model: str, runs: int = 1) -> None:
        asked.append(("measure", model, runs))

    @group.command("audit")
    def audit(model: str) -> None:
        asked.append(("audit", model))

    for words in (["default/vlm", "--runs", "3"], ["--runs", "2", "audit"], ["audit", "x"], ["measure", "audit"]):
        with pytest.raises(SystemExit) as end:
            group(words)
        assert not end.value.code
    assert asked == [("measure", "default/vlm", 3), ("measure", "audit", 2), ("audit", "x"), ("measure", "audit", 1)]
    with pytest.raises(SystemExit):
        group(["--help"])
    assert len(asked) == 4
