"""A default model from its recipe to the folder that answers, with the true parts and few pictures and steps."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from isthmus.checkpoints import resolve
from isthmus.connectors import MlpConnector, SoftPromptConnector
from isthmus.contrastive.sentence import load_minilm
from isthmus.messages import user
from isthmus.precision import fast_dtype
from isthmus.training import default_vlm
from isthmus.training.data.sources import Sample, stamps
from isthmus.training.default_vlm import train_vlm
from isthmus.training.embedder import class_vectors
from isthmus.training.pictures import Pictures
from isthmus.training.recipe import MlpShape, SourceShare, Stage, VlmRecipe, read_recipe
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vlm.language_model import load_language_model
from isthmus.vlm.load import load_vlm
from isthmus.vlm.seal import seal

pytestmark = pytest.mark.xdist_group("smollm2")
HEADS = ("apple", "cat", "hat", "flower")
RECIPES = Path(__file__).parents[2] / "recipes"


def few(recipe: str) -> VlmRecipe:
    """The shipped recipe with two steps a stage, from few sources."""
    read = read_recipe(RECIPES / f"{recipe}.yaml")
    assert isinstance(read, VlmRecipe)

    def short(stage: Stage | None) -> Stage | None:
        return stage and replace(stage, steps=2, batch=4, told=min(stage.told, 4), shares=None)

    second = short(read.second)
    assert second is not None
    return replace(
        read,
        size=read.size if isinstance(read.connector, MlpShape) else 224,  # pools of 3 x 3 cells divide 9, not 7
        sources={"stamps": SourceShare(1.0), "scenes": SourceShare(1.0), "imagined": SourceShare(1.0)},
        scenes=12,
        first=short(read.first),
        words=short(read.words),
        names=short(read.names),
        hints=short(read.hints),
        prompt=short(read.prompt),
        second=second,
        blind=short(read.blind),
    )


@pytest.fixture
def _few_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stamps_root: Path) -> None:
    def some() -> list[Sample]:
        return [s for s in stamps(stamps_root) if s.concept.split()[-1] in HEADS]

    def none(*_: object, **__: object) -> list[Sample]:
        return []

    def no_shapes(encoder: object, part: str, *, quiet: bool) -> Pictures:
        return default_vlm.singles(encoder, {some()[0]: "apple"}, part, 0, quiet=quiet)  # type: ignore[arg-type]

    vectors = cache(lambda: class_vectors(load_minilm(resolve(default_vlm.TEXT_ENCODER))))
    monkeypatch.setattr(default_vlm, "class_vectors", lambda _: vectors())
    monkeypatch.setattr("isthmus.training.kept.cache_folder", lambda: tmp_path / "cache")
    for name, made in {"stamps": some, "emoji": none, "clipart": none, "photographs": none}.items():
        monkeypatch.setattr(default_vlm, name, made)
    monkeypatch.setattr(default_vlm, "emoji_folder", none)
    monkeypatch.setattr(default_vlm, "easy_vqa", no_shapes)
    monkeypatch.setattr(default_vlm, "TEST_SCENES", 4)
    monkeypatch.setattr(default_vlm, "EASY_VQA_STEP", 1)
    monkeypatch.setattr(default_vlm, "GROUNDS", 6)


@pytest.mark.usefixtures("_few_pictures")
@pytest.mark.parametrize("recipe", ["vlm", pytest.param("vlm-llava", marks=pytest.mark.full)])
def test_a_recipe_makes_a_model_that_is_sealed_measured_and_goes_on_where_it_stopped(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = few(recipe)
    figures = train_vlm(wanted, tmp_path / "one", quiet=True)
    config = json.loads((tmp_path / "one" / "config.json").read_text())

    encoder = load_efficientnet(resolve(wanted.encoder), dtype=fast_dtype("cpu"), size=wanted.size)
    language = load_language_model(wanted.language_model, dtype=fast_dtype("cpu"))
    assert config["lineage"]["seal"] == seal(encoder.net, language.model)
    assert config["measured"]["scenes"]["all"]["value"] == figures["scenes"]["all"].value
    assert ("all, blind" in figures["scenes"]) == (wanted.blind is not None)
    assert {name.split()[-1] for name in config["lineage"]["held_out"].values()} <= set(HEADS)

    asked = user(Image.new("RGB", (90, 60), "red"), "What is this?")
    answer = load_vlm(str(tmp_path / "one")).answer([asked], max_tokens=4)
    assert answer.tokens_pictures > 0

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a stage ran that was kept")

    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "stages").rename(tmp_path / "two" / "stages")
    for stage in ("train_stage1", "train_words", "train_names", "train_hints", "train_answers"):
        monkeypatch.setattr(default_vlm, stage, never)
    assert train_vlm(wanted, tmp_path / "two", quiet=True) == figures
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_stage_is_run_again_where_what_led_to_it_changed(tmp_path: Path) -> None:
    recipe = few("vlm-llava")

    def ran(changed: VlmRecipe) -> list[str]:
        stages = default_vlm._Stages(changed, tmp_path)
        steered = SoftPromptConnector(torch.zeros(2, 8), MlpConnector(8, 8))
        guesser = SoftPromptConnector(torch.zeros(2, 8), width_in=8)
        run = []
        for name, connector in (("first", steered), ("second", steered), ("blind", guesser)):
            with stages(name, connector) as runs:
                run += [name] if runs else []
        return run

    assert ran(recipe) == ["first", "second", "blind"]
    assert ran(recipe) == []
    assert ran(replace(recipe, second=replace(recipe.second, rate=0.5))) == ["second"]
    assert ran(replace(recipe, soft_prompt="Say what you see:")) == ["first", "second", "blind"]
    assert ran(replace(recipe, size=224)) == ["first", "second", "blind"]
