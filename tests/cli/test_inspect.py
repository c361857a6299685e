"""`isthmus inspect`: the table of a sample, and what is wrong with one."""

import base64
import json
from pathlib import Path

import pytest

from isthmus.messages import assistant, user
from isthmus.vlm.inspect import inspect
from isthmus.vlm.llava import load_llava
from tests.backends import tiny
from tests.cli.conftest import Run
from tests.vlm import models

SAID = [user(models.picture(1), "what is it?"), assistant("a cat")]
TURNS = [{"from": "human", "value": "<image>\nwhat is it?"}, {"from": "gpt", "value": "a cat"}]


@pytest.fixture
def sample(photo: Path) -> Path:
    path = photo.parent / "sample.json"
    path.write_text(json.dumps({"image": photo.name, "conversations": TURNS}))
    return path


def test_the_table(run: Run, model: str, sample: Path) -> None:
    expected = inspect(load_llava(model), SAID).table()
    assert run("inspect", sample, "--model", model) == (0, f"{expected}\n", "")
    assert "picture 0:" in expected


def test_json(run: Run, model: str, sample: Path) -> None:
    code, out, _ = run("inspect", sample, "--model", model, "--json")
    assert (code, json.loads(out)) == (0, json.loads(inspect(load_llava(model), SAID).json()))


def test_the_apis_messages_show_the_same(run: Run, model: str, photo: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(photo.read_bytes()).decode()
    shown = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what is it?"}]
    messages = [{"role": "user", "content": shown}, {"role": "assistant", "content": "a cat"}]
    lines = photo.parent / "some.jsonl"
    lines.write_text("[]\n" + json.dumps({"messages": messages}) + "\n")
    expected = inspect(load_llava(model), SAID).table()
    assert run("inspect", f"{lines}:2", "--model", model) == (0, f"{expected}\n", "")


def test_all_labels_masked_is_exit_code_1(run: Run, model: str, photo: Path) -> None:
    path = photo.parent / "sample.json"
    path.write_text(json.dumps({"image": photo.name, "conversations": TURNS[:1]}))
    code, out, err = run("inspect", path, "--model", model)
    assert (code, err) == (1, "")
    assert "ALL LABELS ARE MASKED" in out.splitlines()[-1]
    code, out, _ = run("inspect", path, "--model", model, "--json")
    assert (code, json.loads(out)["all_masked"]) == (1, True)


def test_mistakes_are_one_line_with_their_place(run: Run, model: str, sample: Path) -> None:
    sample.write_text(json.dumps({"image": "gone.png", "conversations": TURNS}))
    wrong = sample.parent / "wrong.json"
    wrong.write_text(json.dumps({"image": [], "conversations": TURNS}))
    for words, says in (
        ([sample, "--model", model], f"{sample.parent / 'gone.png'} does not exist"),
        ([wrong, "--model", model], f"{wrong}: the conversation has 1 of the mark <image> for 0 pictures"),
        ([sample.parent / "none.json"], "there is no file"),
        ([f"{wrong}:2"], "has no record 2"),
    ):
        code, out, err = run("inspect", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err


def test_a_model_that_transformers_lays_out_cannot_be_inspected(run: Run, sample: Path, tmp_path: Path) -> None:
    name = f"transformers:{tiny.save_llava(tmp_path / 'model')}"
    code, _, err = run("inspect", sample, "--model", name)
    assert code == 2
    assert "cannot be inspected" in err
