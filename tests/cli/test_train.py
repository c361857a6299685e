"""`isthmus train` with a recipe for a model of one's own."""

import json
from pathlib import Path

import pytest

from tests.vlm import models

from .conftest import Run

RECIPE = """
makes: model
seed: 0
start: {start}
data:
  pairs: {{path: ~}}
held_out: 0.25
stages:
  - name: connect
    learns: {{connector: {{rate: 0.01}}}}
    steps: 2
    batch: 2
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for at in range(8):
        models.picture(at, 40, 30).save(folder / f"{at}.png")
        (folder / f"{at}.txt").write_text("a cat on a table")
    return folder


@pytest.fixture
def recipe(tmp_path: Path, model: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(start=model))
    return path


def test_a_plan_then_a_model_that_answers(run: Run, recipe: Path, pairs: Path, tmp_path: Path, photo: Path) -> None:
    code, out, _ = run("train", recipe, "--data", pairs, "--dry-run")
    assert code == 0 and "connect: 2 steps of 2 conversations" in out and "held out" in out
    code, out, _ = run("train", recipe, "--data", pairs, "--dry-run", "--json", "--set", "stages.0.batch=3")
    assert json.loads(out)["stages"][0]["records_a_step"] == 3
    code, out, err = run("train", recipe, "--data", f"pairs={pairs}", "--out", tmp_path / "out")
    assert code == 0 and "held-out loss:" in out and "written to" in out and "training:" in err
    code, out, _ = run("ask", photo, "what?", "--model", tmp_path / "out", "--json")
    assert code == 0 and json.loads(out)["model"] == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--dry-run"], "the recipe leaves open where its data are: pairs (give --data pairs=PATH)"),
        (["--data", "nowhere", "--dry-run"], "nowhere"),
        (["--data", "{pairs}"], "nowhere to write to"),
        (["--set", "stages.0.batch"], "--set stages.0.batch is no change"),
        (["--set", "stages.7.batch=2"], "--set stages.7.batch=2: there is no stages.7"),
        (["--set", "stages.nowhere.batch=2"], "there is no stages.nowhere"),
        (["--set", "stages.connect.batch=0"], "stages.0.batch, line 12: input should be greater than or equal to 1"),
        (["--set", "stages.0.batch=0"], "stages.0.batch, line 12: input should be greater than or equal to 1"),
        (["--set", "stages.0.colour=red"], "stages.0.colour, line 9: unexpected keyword argument"),
        (["--set", "stages.0.epochs=2"], "stage connect is to be as long as steps or as epochs say"),
        (["--set", "stages.0.learns={}"], "nothing learns"),
    ],
)
def test_mistakes_are_said_with_their_line(run: Run, recipe: Path, pairs: Path, words: list[str], says: str) -> None:
    filled = [word.format(pairs=pairs) if "{pairs}" in word else word for word in words]
    code, out, err = run("train", recipe, *filled)
    assert code == 2 and not out
    assert says in err.splitlines()[-1], err


def test_shipped_recipes_are_found_by_name_and_a_name_that_is_none_lists_them(run: Run, pairs: Path) -> None:
    code, _, err = run("train", "adopt", "--data", pairs)
    assert code == 2
    for name in (
        "clip",
        "siglip",
        "blip2_stage1",
        "adapt",
        "llava_align",
        "llava_instruct",
        "blip2_stage2",
        "text_warmup",
        "vlm",
        "embedder",
    ):
        assert name in err


CONTRAST = """
makes: dual-encoder
seed: 0
start: {start}
loss: softmax
data:
  pairs: {{path: ~}}
held_out: 0.4
precision: float32
stages:
  - name: align
    learns: {{text_head: {{rate: 0.01}}, temperature: {{rate: 0.01}}}}
    steps: 2
    batch: 3
"""
QFORMER = """
makes: qformer
seed: 0
start: default/minilm
encoder: {start}
layers: [0]
queries: 2
data:
  pairs: {{path: ~}}
held_out: 0.4
precision: float32
stages:
  - name: read
    learns: {{qformer: {{rate: 0.001}}}}
    steps: 1
    batch: 3
"""


@pytest.fixture
def dual(tmp_path: Path) -> Path:
    from tests.contrastive.models import save

    save("clip", tmp_path / "clip")
    return tmp_path / "clip"


@pytest.fixture
def told_apart(tmp_path: Path) -> Path:
    folder = tmp_path / "told apart"
    folder.mkdir()
    for at in range(16):
        models.picture(at, 40, 30).save(folder / f"{at}.png")
        (folder / f"{at}.txt").write_text(f"a cat and {at} dogs")
    return folder


def test_a_dual_encoder_of_ones_own(run: Run, dual: Path, told_apart: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.yaml"
    path.write_text(CONTRAST.format(start=dual))
    code, out, _ = run("train", path, "--data", told_apart, "--dry-run")
    assert code == 0 and "align: 2 steps of 3 pairs" in out and "text_head" in out
    code, out, _ = run("train", path, "--data", told_apart, "--dry-run", "--json", "--set", "stages.0.batch=4")
    assert json.loads(out)["stages"][0]["records_a_step"] == 4
    code, out, err = run("train", path, "--data", told_apart, "--out", tmp_path / "out")
    assert code == 0 and "pairs/s" in err
    before, after, written = out.splitlines()
    assert before.startswith("before: held-out loss ") and "text to image R@1 " in before
    assert after.startswith("after: ") and "; image to text R@1 " in after
    assert written == f"written to {tmp_path / 'out'}; use it with --model {tmp_path / 'out'}"
    code, out, _ = run("train", path, "--data", told_apart, "--out", tmp_path / "out", "--resume", "--json")
    assert code == 0 and json.loads(out)["after"]["image to text"].keys() == {"R@1", "R@5", "R@10"}
    code, out, _ = run("photos", "index", told_apart, "--model", tmp_path / "out", "--library", tmp_path / "library")
    assert code == 0


def test_a_q_former_of_ones_own(run: Run, dual: Path, told_apart: Path, tmp_path: Path) -> None:
    path = tmp_path / "stage1.yaml"
    path.write_text(QFORMER.format(start=dual))
    code, out, _ = run("train", path, "--data", told_apart, "--dry-run")
    assert code == 0 and "read: 1 steps of 3 pairs" in out and "frozen: encoder" in out
    code, out, _ = run("train", path, "--data", told_apart, "--out", tmp_path / "out")
    assert code == 0 and "name a language_model in the recipe to go on with stage 2" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "stages.0.accumulate=2"], "stage align accumulates 2 batches: negatives are the other pairs"),
        (["--set", "stages.0.learns={}"], "nothing learns"),
        (["--set", "stages.0.learns={lora: {rate: 0.1}}"], "stages.0.learns.lora, line"),
        (["--set", "loss=hinge"], "loss, line 5: input should be 'softmax' or 'sigmoid', not 'hinge'"),
        (["--set", "start=default/embedder"], "default/embedder is no dual encoder of two towers"),
    ],
)
def test_mistakes_in_a_recipe_for_pairs_are_said(
    run: Run, dual: Path, told_apart: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    path = tmp_path / "clip.yaml"
    path.write_text(CONTRAST.format(start=dual))
    code, out, err = run("train", path, "--data", told_apart, "--dry-run", *words)
    assert code == 2 and not out
    assert says in err.splitlines()[-1], err
