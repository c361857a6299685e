"""`isthmus export`: from a training to a folder on its own."""

import json
from pathlib import Path

import pytest

from tests.cli.test_train import pairs, recipe  # noqa: F401  fixtures

from .conftest import Run

LORA = "stages.0.learns={lora: {rate: 0.1, rank: 2}, connector: {rate: 0.01}}"


def test_what_was_trained_is_exported_and_answers_the_same(
    run: Run,
    recipe: Path,  # noqa: F811
    pairs: Path,  # noqa: F811
    tmp_path: Path,
    photo: Path,
) -> None:
    mine = tmp_path / "mine"
    assert run("train", recipe, "--data", pairs, "--set", LORA, "--out", mine, "--quiet")[0] == 0
    code, out, err = run("export", mine, "--out", tmp_path / "whole")
    assert (code, err) == (0, "")
    assert out == f"written to {tmp_path / 'whole'} in the layout of LLaVA-1.5; transformers and load_vlm read it\n"
    answers = [
        json.loads(run("ask", photo, "what?", "--model", name, "--max-tokens", 5, "--json")[1])["answer"]
        for name in (mine, tmp_path / "whole")
    ]
    assert answers[0] == answers[1]
    code, out, _ = run("export", mine, "--out", tmp_path / "lora", "--adapters", "--json")
    told = json.loads(out)
    assert code == 0 and told["layout"] == "peft" and told["notes"]
    assert (tmp_path / "lora" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "is no composed model that was trained further"),
        (["--dtype", "int4"], "there is no dtype 'int4' to use"),
        (["--adapters", "--dtype", "float32"], "adapters are written in float32"),
    ],
)
def test_what_cannot_be_exported_is_one_line(run: Run, model: str, tmp_path: Path, words: list[str], says: str) -> None:
    code, out, err = run("export", model, "--out", tmp_path / "out", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert not (tmp_path / "out").exists()
