"""A recipe makes a model of one's own: it learns what it is shown, goes on exactly, and is found again whole."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from isthmus.errors import CorruptPart, InputError
from isthmus.messages import user
from isthmus.training.held_out import split
from isthmus.training.own_recipe import Augmentation, DataEntry
from isthmus.training.plan import plan
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.training.rehearsal import Rehearse
from isthmus.training.stages import open_sources, steps_of
from isthmus.training.tune import tune
from isthmus.training.tune_recipe import TuneRecipe, TuneStage
from isthmus.vlm.load import load_vlm
from isthmus.vlm.tuned import MODEL_TYPE
from tests.backends.tiny_native import save_native_llava
from tests.vlm import models

CONNECT = TuneStage("connect", Policy(connector=Learns(0.01)), batch=3, steps=6, evaluate=2)
INSTRUCT = TuneStage(
    "instruct",
    Policy(connector=Learns(0.003), lora=LoraLearns(0.02, rank=2)),
    batch=3,
    epochs=1.0,
    evaluate=2,
    rehearsal=Rehearse(texts=4, tokens=8, batch=2),
)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_native_llava(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures with captions beside them, of which one is damaged."""
    folder = tmp_path_factory.mktemp("tune") / "pairs"  # by whose name and the files' they are parted
    folder.mkdir()
    for at in range(12):
        models.picture(at, 40, 30).save(folder / f"{at:02}.png")
        (folder / f"{at:02}.txt").write_text("a cat on a table" if at % 2 else "two dogs run")
    (folder / "05.png").write_bytes(b"\x89PNG nothing")
    return folder


def recipe(start: str, pairs: Path, **changed) -> TuneRecipe:
    made = TuneRecipe("model", 0, start, {"pairs": DataEntry(str(pairs))}, (CONNECT, INSTRUCT), held_out=0.25)
    return replace(made, **changed)


@pytest.fixture(scope="module")
def tuned(start: str, pairs: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("tuned") / "out"
    return tune(recipe(start, pairs), out, quiet=True), out


def test_it_learns_and_the_folder_holds_all_that_learned(tuned) -> None:
    told, out = tuned
    assert told.stopped is None and told.bad_records == 1
    assert told.after < told.before - 0.1
    assert [ended.why for ended in told.stages.values()] == ["done", "done"]
    (bad,) = [json.loads(line) for line in (out / "bad_records.jsonl").read_text().splitlines()]
    assert "05" in bad["place"]
    config = json.loads((out / "config.json").read_text())
    assert config["model_type"] == MODEL_TYPE
    assert config["measured"]["held-out loss"]["after"] == told.after
    assert set(config["lineage"]["seal"]) == {"encoder", "connector", "language_model"}
    names = load_file(out / "model.safetensors").keys()
    assert any(name.startswith("connector.") for name in names) and any("lora_B" in name for name in names)
    assert all(name.startswith("connector.") or "lora_" in name for name in names)


def test_loaded_again_it_answers_as_it_did(tuned, start: str) -> None:
    _, out = tuned
    asked = [user(models.picture(3, 40, 30), "What does this picture show?")]
    again, before = load_vlm(str(out)), load_vlm(start)
    answer = again.answer(asked, max_tokens=5).text
    assert answer == load_vlm(str(out)).answer(asked, max_tokens=5).text
    assert answer != before.answer(asked, max_tokens=5).text
    assert not any(p.requires_grad for p in again.parameters())


def test_what_goes_on_from_it_is_whole_without_it(tuned, pairs: Path, tmp_path: Path) -> None:
    _, out = tuned
    parent = tmp_path / "parent"
    shutil.copytree(out, parent)
    tune(recipe(str(parent), pairs, stages=(replace(CONNECT, steps=2),)), tmp_path / "child", quiet=True)
    names = load_file(tmp_path / "child" / "model.safetensors").keys()
    assert names == load_file(parent / "model.safetensors").keys()
    shutil.rmtree(parent)
    child = load_vlm(str(tmp_path / "child"))
    mine, its = dict(child.named_parameters()), load_file(out / "model.safetensors")
    assert all(torch.equal(mine[name], value) for name, value in its.items() if "lora_" in name)
    assert not all(torch.equal(mine[name], value) for name, value in its.items() if name.startswith("connector."))


ARRANGED = (
    replace(CONNECT, arrange="length"),
    replace(INSTRUCT, arrange="packed", tokens=150, batch=1, epochs=None, steps=4),
)


@pytest.mark.parametrize("stages", [(CONNECT, INSTRUCT), ARRANGED], ids=["in order", "arranged"])
def test_killed_between_it_goes_on_to_the_same_weights(
    tuned, stages, start: str, pairs: Path, tmp_path: Path, monkeypatch
) -> None:
    _, whole = tuned
    out = tmp_path / "out"
    if stages is ARRANGED:
        whole = tmp_path / "whole"
        told = tune(recipe(start, pairs, stages=stages), whole, quiet=True)
        assert told.after < told.before and told.bad_records == 1
    calls = 0

    def dying(self, samples, features=None, **more):
        nonlocal calls
        calls += self.training
        if calls == 9:  # in the second stage
            raise KeyboardInterrupt
        return forward(self, samples, features, **more)

    from isthmus.vlm.model import VisionLanguageModel

    forward = VisionLanguageModel.forward
    monkeypatch.setattr(VisionLanguageModel, "forward", dying)
    with pytest.raises(KeyboardInterrupt):
        tune(recipe(start, pairs, stages=stages), out, quiet=True)
    monkeypatch.undo()
    tune(recipe(start, pairs, stages=stages), out, resume=True, quiet=True)
    mine, its = load_file(out / "model.safetensors"), load_file(whole / "model.safetensors")
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in mine)


def test_another_recipe_or_a_folder_in_use_is_refused(tuned, start: str, pairs: Path) -> None:
    _, out = tuned
    with pytest.raises(InputError, match="holds a training already"):
        tune(recipe(start, pairs), out, quiet=True)
    with pytest.raises(InputError, match="was begun with another recipe"):
        tune(recipe(start, pairs, seed=1), out, resume=True, quiet=True)


def test_a_start_that_is_not_what_it_was_is_refused(tuned, tmp_path: Path) -> None:
    _, out = tuned
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    config = json.loads((moved / "config.json").read_text())
    config["start"]["fingerprint"] = "0" * 16
    (moved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CorruptPart, match=r"is not what .* was trained on"):
        load_vlm(str(moved))


def test_a_plan_says_what_would_be_done_and_changes_nothing(start: str, pairs: Path) -> None:
    found = plan(recipe(start, pairs), quiet=True)
    first, second = found.stages
    sources = open_sources(recipe(start, pairs))
    assert (first.steps, second.steps) == (6, steps_of(INSTRUCT, sources, 1))
    assert found.held_out == len(sources["pairs"].held) > 0
    assert set(first.learning) == {"connector"} and set(second.learning) == {"connector", "lora"}
    assert first.learning["connector"] == sum(p.numel() for p in load_vlm(start).connector.parameters())
    assert first.frozen.keys() == {"encoder", "language_model"}
    assert second.memory > sum(first.frozen.values()) * 4
    text = str(found)
    assert "05.png" in text and "6 steps of 3 conversations" in text and "picture 0:" in text
    assert json.loads(json.dumps(found.as_json()))["stages"][0]["steps"] == 6


def test_a_plan_says_how_much_is_padding(start: str, tmp_path: Path) -> None:
    lines = [
        {"messages": [{"role": "user", "content": "go on"}, {"role": "assistant", "content": "a cat " * (1 + at % 12)}]}
        for at in range(48)
    ]
    (tmp_path / "talk.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    stages = (
        replace(CONNECT, batch=4),
        replace(CONNECT, name="length", arrange="length", batch=4),
        replace(CONNECT, name="packed", arrange="packed", tokens=200, batch=1),
    )
    data = {"talk": DataEntry(str(tmp_path / "talk.jsonl"))}
    found = plan(TuneRecipe("model", 0, start, data, stages, held_out=0), quiet=True)
    order, length, packed = (stage.filling for stage in found.stages)
    assert order.looked_at == 48 and order.exact
    assert packed.padding == 0 and packed.a_row * packed.tokens_mean <= 200
    assert length.padding == order.by_length < order.padding / 3
    assert found.stages[2].records_a_step == round(packed.a_row)
    text = str(found)
    assert f"{order.padding:.0%} of a batch's positions are padding (arrange: length would make it" in text
    assert f"0% of a batch's positions are padding, a row holds {packed.a_row:.1f} conversations" in text
    assert json.loads(json.dumps(found.as_json()))["stages"][0]["filling"]["padding"] == order.padding


def test_what_cannot_be_packed_is_refused_before_anything_is_trained(start: str, pairs: Path, tmp_path, monkeypatch):
    from isthmus.vlm import packing

    monkeypatch.setattr(packing, "_mixed", lambda _: "lets a conversation see the one before it")
    packed = recipe(start, pairs, stages=(CONNECT, replace(CONNECT, name="pack", arrange="packed", tokens=200)))
    with pytest.raises(InputError, match="cannot have several conversations in a row"):
        tune(packed, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "stages").exists()
    with pytest.raises(InputError, match="cannot have several conversations in a row"):
        plan(packed, quiet=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arrange": "packed"}, "packs rows: give tokens"),
        ({"tokens": 100}, "tokens for rows in plain order"),
        ({"arrange": "packed", "tokens": 100, "steps": None, "epochs": 1}, "give it steps"),
        ({"arrange": "length", "tokens": 100, "steps": None, "epochs": 1}, "give it steps"),
    ],
    ids=str,
)
def test_stages_that_say_too_little_are_refused(change, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(CONNECT, **change)


def test_a_split_keeps_a_pictures_records_together_and_is_the_same_each_time(tmp_path: Path) -> None:
    lines = ["file_name,text"]
    for at in range(30):
        models.picture(at, 8, 8).save(tmp_path / f"{at}.png")
        lines += [f"{at}.png,a cat", f"{at}.png,two dogs"]
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    from isthmus.data.open import open_data

    source = open_data(str(tmp_path))
    train_on, held = split(source, 0.3, seed=4)
    shown = [
        {str(part.source) for at in range(len(side)) for message in side[at].messages for part in message.pictures}
        for side in (train_on, held)
    ]
    assert not shown[0] & shown[1] and len(shown[0] | shown[1]) == 30
    assert 3 <= len(shown[1]) <= 16
    assert split(source, 0.3, seed=4)[1].indices == held.indices
    assert split(source, 0.3, seed=5)[1].indices != held.indices


def test_augmentation_changes_pictures_by_the_seed_and_never_mirrors_unasked() -> None:
    from isthmus.images.views import Picture
    from isthmus.training.augment import vary

    shown = models.picture(2, 40, 30)
    varied = vary(Augmentation(crop=0.3, light=0.3, rotate=10))
    made = [varied(Picture(shown, 40, 30), f"{at}").image.tobytes() for at in range(6)]
    assert len(set(made)) == 6
    assert varied(Picture(shown, 40, 30), "0").image.tobytes() == made[0]
    same = vary(Augmentation())(Picture(shown, 40, 30), "0").image
    assert same.tobytes() == shown.convert("RGB").tobytes()
    flipped = vary(Augmentation(flip=True))
    seen = {flipped(Picture(shown, 40, 30), f"{at}").image.tobytes() for at in range(12)}
    assert len(seen) == 2
