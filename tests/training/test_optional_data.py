"""Data that need not be given: the stage that reads them is skipped, or is judged by them alone."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from isthmus.errors import InputError
from isthmus.training.own_recipe import DataEntry
from isthmus.training.plan import plan
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.training.recipe import read_recipe
from isthmus.training.shipped import recipe_file
from isthmus.training.stages import open_sources
from isthmus.training.tune import Judge, tune
from isthmus.training.tune_recipe import TuneRecipe, TuneStage
from isthmus.vlm.load import load_vlm
from tests.backends.tiny_native import save_native_llava
from tests.vlm import models

LORA = LoraLearns(0.02, rank=2)
READ = TuneStage("read", Policy(lora=LORA), data={"texts": 1}, batch=4, steps=6, evaluate=3, patience=2)
CONNECT = TuneStage("connect", Policy(connector=Learns(0.01)), data={"pairs": 1}, batch=3, steps=2, evaluate=1)
INSTRUCT = replace(CONNECT, name="instruct", learns=Policy(lora=replace(LORA, rank=3)))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_native_llava(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("optional") / "pairs"
    folder.mkdir()
    for at in range(12):
        models.picture(at, 40, 30).save(folder / f"{at:02}.png")
        (folder / f"{at:02}.txt").write_text("a cat on a table")
    return str(folder)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("optional") / "notes.txt"
    path.write_text("\n\n".join(f"two dogs run along the beach {at}. " * 7 for at in range(24)))
    return str(path)


def recipe(start: str, pairs: str | None, texts: str | None, **changed) -> TuneRecipe:  # type: ignore[no-untyped-def]
    data = {"pairs": DataEntry(pairs), "texts": DataEntry(texts, optional=True)}
    made = TuneRecipe("model", 0, start, data, (READ, CONNECT, INSTRUCT), held_out=0.25, cache=False)
    return replace(made, **changed)


def test_without_texts_the_stage_is_skipped_and_said(
    start: str, pairs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tune(recipe(start, pairs, None), tmp_path / "out")
    assert list(told.stages) == ["connect", "instruct"] and told.skipped == ("read",)
    assert list(told.of_each) == ["pairs"] and told.of_each["pairs"] == (told.before, told.after)
    assert "stage read is skipped: no texts given (--data texts=PATH)" in capsys.readouterr().err
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["adapters"]["rank"] == 3, "of the first stage that was, not of the one that was skipped"
    assert list(config["lineage"]["data"]) == ["pairs"]
    assert not (tmp_path / "out" / "stages" / "read").exists()
    load_vlm(str(tmp_path / "out"))


def test_with_texts_lora_alone_learns_from_them_and_is_judged_by_them(
    start: str, pairs: str, texts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []
    judge = Judge.__call__

    def noting(self, sources=None):  # type: ignore[no-untyped-def]
        judged.append(sources)
        return judge(self, sources)

    monkeypatch.setattr(Judge, "__call__", noting)
    told = tune(recipe(start, pairs, texts, stages=(READ, CONNECT)), tmp_path / "out", quiet=True)
    assert judged == [None, {"texts"}, {"texts"}, {"texts"}, {"pairs"}, None]
    assert told.skipped == () and told.of_each.keys() == {"pairs", "texts"}
    before, after = told.of_each["texts"]
    assert after < before - 0.1
    log = [json.loads(line) for line in (tmp_path / "out" / "stages" / "read" / "log.jsonl").read_text().splitlines()]
    losses = [line["evaluated"]["loss"] for line in log if "evaluated" in line]
    assert losses[0] < before and told.stages["read"].best == min(losses)
    names = load_file(tmp_path / "out" / "model.safetensors").keys()
    assert any("lora_" in name for name in names)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["measured"]["held-out loss"]["of each"]["texts"] == {"before": before, "after": after}


def test_patience_does_not_look_at_what_the_stage_does_not_read(
    start: str, pairs: str, texts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_pairs = []
    judge = Judge.__call__

    def noting(self, sources=None):  # type: ignore[no-untyped-def]
        if sources == {"texts"}:
            of_pairs.append(judge(self, ("pairs",)).mean)
        return judge(self, sources)

    monkeypatch.setattr(Judge, "__call__", noting)
    stage = replace(READ, learns=Policy(lora=replace(LORA, rate=0.05)), steps=12, evaluate=6, patience=1)
    told = tune(recipe(start, pairs, texts, stages=(stage, CONNECT)), tmp_path / "out", quiet=True)
    rose = [later > earlier for earlier, later in pairwise(of_pairs)]
    assert True in rose[:-1], "judged by the pairs it would have ended on the way"
    assert (told.stages["read"].why, told.stages["read"].step) == ("done", 12)


def test_a_stage_of_the_connector_leaves_the_warm_up_as_it_is(
    start: str, pairs: str, texts: str, tmp_path: Path
) -> None:
    tune(recipe(start, pairs, texts, stages=(READ, CONNECT)), tmp_path / "both", quiet=True)
    alone = recipe(start, pairs, texts, data={"texts": DataEntry(texts)}, stages=(READ,))
    tune(alone, tmp_path / "read", quiet=True)
    both, read = (load_file(tmp_path / name / "model.safetensors") for name in ("both", "read"))
    assert read and all("lora_" in name for name in read), "the connector is frozen while texts are read"
    assert all(torch.equal(both[name], value) for name, value in read.items())


def test_adapters_of_a_first_stage_begin_by_the_recipes_seed(
    start: str, pairs: str, texts: str, tmp_path: Path
) -> None:
    made = recipe(start, pairs, texts, stages=(replace(READ, steps=1), replace(CONNECT, steps=1)), held_out=0.5)
    weights = []
    for at, seed in enumerate((0, 0, 1)):
        torch.manual_seed(at)  # whatever was drawn before
        tune(replace(made, seed=seed), tmp_path / f"{at}", quiet=True)
        weights.append(load_file(tmp_path / f"{at}" / "model.safetensors"))
    first, again, other = weights
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert not all(torch.equal(other[name], value) for name, value in first.items() if "lora_A" in name)


def test_a_plan_says_what_is_skipped_and_what_is_read(start: str, pairs: str, texts: str) -> None:
    without = plan(recipe(start, pairs, None), quiet=True)
    assert "read: skipped, no texts given (--data texts=PATH)" in str(without)
    assert without.as_json()["skipped"] == {"read": "no texts given (--data texts=PATH)"}
    assert [stage.name for stage in without.stages] == ["connect", "instruct"]
    found = plan(recipe(start, pairs, texts), quiet=True)
    assert "skipped" not in str(found) and set(found.stages[0].learning) == {"lora"}
    assert "picture 0:" in str(found), "the sample shown is a pair"


def test_what_must_be_given_is_asked_for_and_what_nobody_reads_refused(start: str, pairs: str, texts: str) -> None:
    with pytest.raises(InputError, match="leaves open where its data are: pairs"):
        open_sources(recipe(start, None, texts).given())
    data = {"texts": DataEntry(None, optional=True)}
    with pytest.raises(InputError, match="no data are given"):
        recipe(start, pairs, None, data=data, stages=(READ,)).given()
    with pytest.raises(ValueError, match="no stage draws from texts"):
        recipe(start, pairs, texts, stages=(CONNECT,))
    some = replace(READ, data={"texts": 1, "pairs": 2})
    assert recipe(start, pairs, None, stages=(some,)).given().stages[0].data == {"pairs": 2}
    everything = recipe(start, pairs, None, stages=(replace(READ, data=None),)).given()
    assert (everything.stages[0].data, list(everything.data)) == (None, ["pairs"])


def test_adapt_reads_texts_first_where_they_are_given() -> None:
    changes = ["data.pairs.path=pairs"]
    without = read_recipe(recipe_file("adapt"), changes=changes)
    assert isinstance(without, TuneRecipe)
    assert [stage.name for stage in without.given().stages] == ["instruct"]
    assert list(without.skipped()) == ["read"]
    read = read_recipe(recipe_file("adapt"), changes=[*changes, "data.texts.path=notes.txt"])
    assert isinstance(read, TuneRecipe)
    first = read.given().stages[0]
    assert (first.name, first.learns.connector, first.data) == ("read", None, {"texts": 1})
    assert all(stage.data == {"pairs": 1} for stage in read.given().stages[1:])
