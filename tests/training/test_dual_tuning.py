"""A recipe makes a dual encoder of one's own: it learns, goes on exactly, is found again; `transformers` reads it."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from isthmus.contrastive import load_embedder
from isthmus.contrastive.export import export_dual
from isthmus.errors import CorruptPart, InputError
from isthmus.training.contrast_recipe import ContrastPolicy, ContrastRecipe, ContrastStage
from isthmus.training.contrasting import Contrast
from isthmus.training.dual_tuning import HUGGING_FACE, load_dual, tune_dual
from isthmus.training.own_recipe import DataEntry
from isthmus.training.pair_plan import plan_pairs
from isthmus.training.policy import Learns
from isthmus.vision.vit import VisionTransformer
from tests.contrastive import models
from tests.contrastive.test_dual_encoder import TOLERANCE, expected, pixels, views
from tests.vlm.models import picture

WORDS = ("a cat on a table", "two dogs run", "a cup of coffee", "一只猫", "a red apple", "the beach at sunset")
ALL = ContrastPolicy(*(Learns(0.003) for _ in range(5)))
TEXT = ContrastPolicy(text_tower=Learns(0.003), text_head=Learns(0.003))


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starts")
    for family in ("clip", "clip-old", "siglip", "bert"):
        models.save(family, folder / family)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Pictures in six colours, each with the words of its colour; of one they are missing."""
    folder = tmp_path_factory.mktemp("data") / "pairs"
    folder.mkdir()
    for at in range(36):
        drawn = np.asarray(picture(at, 40, 30).convert("RGB")).astype(np.int64) // 4
        tinted = drawn + np.array([(at % 6) * 30, (at % 3) * 60, (at % 2) * 120])
        Image.fromarray(tinted.clip(0, 255).astype(np.uint8)).save(folder / f"{at:02}.png")
        (folder / f"{at:02}.txt").write_text(f"{WORDS[at % 6]}\n", encoding="utf-8")
    (folder / "05.txt").unlink()
    with contextlib.chdir(folder.parent):  # what is held out is decided by the path: let it be the same each time
        yield Path("pairs")


def recipe(start: Path, pairs: Path, *stages: ContrastStage, **changed) -> ContrastRecipe:
    stages = stages or (
        ContrastStage("all", ALL, batch=8, steps=12, evaluate=2),
        ContrastStage("words", TEXT, batch=8, epochs=1.0, evaluate=1),
    )
    made = ContrastRecipe(
        "dual-encoder", 0, str(start), {"pairs": DataEntry(str(pairs))}, stages, held_out=0.3, precision="float32"
    )
    return replace(made, **changed)


@pytest.fixture(scope="module")
def tuned(starts: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("tuned") / "out"
    return tune_dual(recipe(starts / "clip", pairs, export=True), out, quiet=True), out


def test_it_learns_and_says_what_is_found_before_and_after(tuned) -> None:
    told, out = tuned
    assert told.stopped is None and told.bad_records == 1
    assert told.after_loss < told.before_loss - 0.1
    assert [ended.why for ended in told.stages.values()] == ["done", "done"]
    config = json.loads((out / "config.json").read_text())
    assert config["measured"]["retrieval"]["after"] == told.after
    assert config["measured"]["held-out loss"] == {
        "before": told.before_loss, "after": told.after_loss, "pairs": config["measured"]["retrieval"]["pictures"],
    }  # fmt: skip
    for figures in (told.before, told.after):
        assert figures.keys() == {"text to image", "image to text"}
        for way in figures.values():
            assert way.keys() == {"R@1", "R@5", "R@10"}
            assert all(each["low"] <= each["value"] <= each["high"] for each in way.values())
            assert way["R@1"]["value"] <= way["R@5"]["value"] <= way["R@10"]["value"]
    assert set(config["lineage"]["seal"]) == {"image_tower", "image_head", "text_tower", "text_head", "temperature"}
    evaluated = [json.loads(line) for line in (out / "stages" / "all" / "log.jsonl").read_text().splitlines()]
    assert sum("evaluated" in line for line in evaluated) == 2
    assert "text to image R@1" in next(line["evaluated"] for line in evaluated if "evaluated" in line)


def test_loaded_again_it_is_what_was_trained(tuned, starts: Path) -> None:
    _, out = tuned
    again, start = load_embedder(str(out)), load_embedder(str(starts / "clip"))
    assert again.name == str(out)
    assert again.fingerprint != start.fingerprint and again.pictures.fingerprint != start.pictures.fingerprint
    assert again.scale != pytest.approx(start.scale) and again.bias is None
    stored = load_file(out / "model.safetensors")
    mine = dict(Contrast(again, "softmax").named_parameters())
    assert all(torch.equal(mine[name], each) for name, each in stored.items() if name != "scale")
    assert not torch.allclose(again.texts(WORDS), start.texts(WORDS), atol=1e-2)
    assert not any(p.requires_grad for p in again.text_tower.parameters())


def test_transformers_reads_the_export_and_finds_the_same(tuned) -> None:
    from transformers import AutoTokenizer, CLIPModel

    _, out = tuned
    model, report = CLIPModel.from_pretrained(out / HUGGING_FACE, output_loading_info=True)
    assert not any(report.values())
    tokenizer = AutoTokenizer.from_pretrained(out / HUGGING_FACE)
    ours = load_embedder(str(out))
    shown = pixels("clip")
    images, texts, logits = expected("clip", model.eval(), tokenizer, shown, models.TEXTS)
    torch.testing.assert_close(ours.images(views(shown)), images, **TOLERANCE)
    torch.testing.assert_close(ours.texts(models.TEXTS), texts, **TOLERANCE)
    torch.testing.assert_close(ours.logits(images, texts), logits, rtol=1e-5, atol=1e-4)
    again = load_embedder(str(out / HUGGING_FACE))
    assert again.fit == ours.fit
    assert torch.equal(again.texts(WORDS), ours.texts(WORDS))


@pytest.mark.parametrize("family", ["clip-old", "siglip"])
def test_other_families_are_written_tensor_for_tensor(starts: Path, tmp_path: Path, family: str) -> None:
    dual = load_dual(str(starts / family), "cpu")
    with torch.no_grad():
        for parameter in Contrast(dual, "softmax").parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    export_dual(dual, str(starts / family), tmp_path)
    again = load_dual(str(tmp_path), "cpu")
    shown = views(pixels(family))
    assert torch.equal(again.images(shown), dual.images(shown)) and torch.equal(again.texts(WORDS), dual.texts(WORDS))
    assert (again.scale, again.bias) == (pytest.approx(dual.scale), dual.bias)
    assert load_file(tmp_path / "model.safetensors").keys() == load_file(starts / family / "model.safetensors").keys()


def test_what_cannot_be_exported_is_said_before_anything_is_trained(starts: Path, pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written in Hugging Face layout"):
        tune_dual(recipe(starts / "bert", pairs, export=True), tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_sigmoid_from_a_softmax_begins_with_siglips_bias_and_must_learn_it(
    starts: Path, pairs: Path, tmp_path: Path
) -> None:
    frozen = recipe(starts / "clip", pairs, ContrastStage("s", TEXT, batch=6, steps=2), loss="sigmoid")
    with pytest.raises(InputError, match="has no bias, for it was trained with a softmax"):
        tune_dual(frozen, tmp_path / "frozen", quiet=True)
    told = tune_dual(replace(frozen, stages=(ContrastStage("s", ALL, batch=6, steps=2),)), tmp_path / "out", quiet=True)
    assert told.after_loss < told.before_loss
    assert load_embedder(str(tmp_path / "out")).bias == pytest.approx(-10, abs=0.1)


def test_what_goes_on_from_it_is_whole_without_it(tuned, pairs: Path, tmp_path: Path) -> None:
    _, out = tuned
    parent = tmp_path / "parent"
    shutil.copytree(out, parent)
    stage = ContrastStage("more", TEXT, batch=6, steps=2)
    tune_dual(recipe(parent, pairs, stage, export=True), tmp_path / "child", quiet=True)
    shutil.rmtree(parent)
    child, its = load_embedder(str(tmp_path / "child")), load_embedder(str(out))
    shown = views(pixels("clip"))
    assert torch.equal(child.images(shown), its.images(shown))
    assert not torch.equal(child.texts(WORDS), its.texts(WORDS))
    assert torch.equal(load_embedder(str(tmp_path / "child" / HUGGING_FACE)).images(shown), its.images(shown))


def test_killed_between_it_goes_on_to_the_same_weights(
    tuned, starts: Path, pairs: Path, tmp_path: Path, monkeypatch
) -> None:
    _, whole = tuned
    out, calls, forward = tmp_path / "out", 0, Contrast.forward

    def dying(self, batch, count):
        nonlocal calls
        calls += 1
        if calls == 14:  # in the second stage
            raise KeyboardInterrupt
        return forward(self, batch, count)

    monkeypatch.setattr(Contrast, "forward", dying)
    with pytest.raises(KeyboardInterrupt):
        tune_dual(recipe(starts / "clip", pairs, export=True), out, quiet=True)
    monkeypatch.undo()
    tune_dual(recipe(starts / "clip", pairs, export=True), out, resume=True, quiet=True)
    mine, its = load_file(out / "model.safetensors"), load_file(whole / "model.safetensors")
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in mine)


def test_a_frozen_image_tower_is_read_once(starts: Path, pairs: Path, tmp_path: Path, monkeypatch) -> None:
    """Kept features give what encoding anew gives; and the tower runs on each picture once."""
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    stage = ContrastStage("s", TEXT, batch=8, steps=8, evaluate=2)
    plain = tune_dual(recipe(starts / "clip", pairs, stage, cache=False), tmp_path / "plain", quiet=True)
    kept = tune_dual(recipe(starts / "clip", pairs, stage), tmp_path / "kept", quiet=True)
    assert kept.after_loss == pytest.approx(plain.after_loss, rel=1e-4)
    packed, seen = VisionTransformer.packed, []

    def counting(self, patches, grids, layer=None):
        seen.extend(grids)
        return packed(self, patches, grids, layer)

    monkeypatch.setattr(VisionTransformer, "packed", counting)
    tune_dual(recipe(starts / "clip", pairs, stage), tmp_path / "again", quiet=True)
    assert len(seen) <= 1  # the cache looks at one small picture


def test_another_start_than_it_began_as_is_refused(tuned, tmp_path: Path) -> None:
    _, out = tuned
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    config = json.loads((moved / "config.json").read_text())
    config["start"]["fingerprint"] = "0" * 16
    (moved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CorruptPart, match=r"is not what .* was trained on"):
        load_embedder(str(moved))


def test_a_plan_says_what_would_be_done(starts: Path, pairs: Path) -> None:
    found = plan_pairs(recipe(starts / "clip", pairs), quiet=True)
    first, second = found.stages
    assert (first.steps, first.records_a_step) == (12, 8) and not first.frozen
    assert set(second.learning) == {"text_tower", "text_head"}
    assert set(second.frozen) == {"image_tower", "image_head", "temperature"}
    assert second.memory < first.memory
    text = str(found)
    assert "05.png" in text and "12 steps of 8 pairs" in text and "seen as 1 of 32 x 32" in text
    assert json.loads(json.dumps(found.as_json()))["stages"][0]["steps"] == 12
