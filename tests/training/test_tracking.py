"""A tracker shows what the log says; one that is not installed is named before anything is trained."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import MissingPart
from isthmus.training import tracking
from isthmus.training.loop import LoopSettings, train
from isthmus.training.own_recipe import DataEntry
from isthmus.training.policy import Learns, Policy
from isthmus.training.recipe import read_recipe
from isthmus.training.shipped import recipe_file
from isthmus.training.stages import settings_of
from isthmus.training.tune import tune
from isthmus.training.tune_recipe import TuneRecipe, TuneStage

from .toy import Draws, Toy

SETTINGS = LoopSettings(6, precision="float32")
STAGE = TuneStage("connect", Policy(connector=Learns(0.01)), steps=1)
RECIPE = TuneRecipe("model", 0, "nowhere", {"pairs": DataEntry("nowhere")}, (STAGE,), track="tensorboard")


@pytest.mark.parametrize(
    ("tracker", "todo"), [("tensorboard", r"isthmus\[track\]"), ("trackio", "pip install trackio")]
)
def test_a_tracker_that_is_not_installed_is_named(tracker, todo: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(MissingPart, match=f"tracking by {tracker} needs its package .*{todo}"):
        train(Toy(), Draws(), replace(SETTINGS, track=tracker), tmp_path / "out", quiet=True)
    with pytest.raises(MissingPart, match=f"tracking by {tracker} needs its package"):
        tune(replace(RECIPE, track=tracker), tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_recipe_says_which() -> None:
    read = read_recipe(recipe_file("adapt"), changes=["track=tensorboard"])
    assert settings_of(read.stages[0], read, 5, judged=True).track == "tensorboard"
    assert settings_of(STAGE, replace(RECIPE, track=None), 5, judged=True).track is None


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs tensorboard, of the extra 'track'")
def test_tensorboard_shows_what_the_log_says(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = replace(SETTINGS, track="tensorboard")
    train(Toy(), Draws(), settings, tmp_path, evaluate=lambda: {"loss": 0.5}, quiet=True)
    shown = EventAccumulator(str(tmp_path / tracking.NAME))
    shown.Reload()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    logged = [line["loss"] for line in lines if "loss" in line]
    events = shown.Scalars("loss")
    assert [event.step for event in events] == list(range(1, 7))
    assert [event.value for event in events] == pytest.approx(logged)
    assert [(event.step, event.value) for event in shown.Scalars("held_out/loss")] == [(6, 0.5)]
    assert shown.Scalars("rate/first")[0].value == pytest.approx(lines[0]["rate"]["first"])
