"""QLoRA: a language model in four bits stays as it is, bit for bit, and adapters learn beside it. It runs on a CPU."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from isthmus.errors import InputError, MissingPart
from isthmus.messages import assistant, user
from isthmus.training.own_recipe import DataEntry
from isthmus.training.plan import plan
from isthmus.training.policy import Learns, LoraLearns, Policy, apply, parts_of
from isthmus.training.sealed import require_unchanged, sealed
from isthmus.training.tune import tune
from isthmus.training.tune_recipe import TuneRecipe, TuneStage
from isthmus.vlm.load import load_vlm
from isthmus.vlm.quantised import count, is_quantised
from isthmus.vlm.standalone import export_adapters, export_model
from tests.backends.tiny_native import save_native_llava
from tests.evaluation.packages import required
from tests.vlm import models, test_blip2, test_blip2_t5, test_smolvlm
from tests.vlm.parity import logits
from tests.vlm.test_standalone import default

SAID = [[user(models.picture(3), "what is it?"), assistant("a cat")]]
STAGE = TuneStage(
    "instruct",
    Policy(connector=Learns(0.01), lora=LoraLearns(0.02, rank=2)),
    batch=3, steps=8, evaluate=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    required("bitsandbytes", "qlora")
    return save_native_llava(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def recipe(start: str, tmp_path_factory: pytest.TempPathFactory) -> TuneRecipe:
    folder = tmp_path_factory.mktemp("quantised") / "pairs"
    folder.mkdir()
    for at in range(12):
        models.picture(at, 40, 30).save(folder / f"{at:02}.png")
        (folder / f"{at:02}.txt").write_text("a cat on a table")
    return TuneRecipe("model", 0, start, {"pairs": DataEntry(str(folder))}, (STAGE,), held_out=0.25, quantize="nf4")


@pytest.fixture(scope="module")
def tuned(recipe: TuneRecipe, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    out = tmp_path_factory.mktemp("tuned") / "out"
    return tune(recipe, out, quiet=True), out


def test_linear_maps_are_in_four_bits_and_the_rest_is_not(start: str) -> None:
    whole, small = load_vlm(start), load_vlm(start, quantize="nf4")
    assert is_quantised(small.language_model) and not is_quantised(whole.language_model)
    for (name, own), (other, full) in zip(
        small.language_model.named_parameters(), whole.language_model.named_parameters(), strict=True
    ):
        assert name == other and count(own) == full.numel()
        packed = own.dtype == torch.uint8
        assert packed == ("proj" in name) and own.numel() == full.numel() // (1 + packed)
    with torch.no_grad():
        one, other = logits(small, SAID), logits(whole, SAID)
    assert not torch.equal(one, other)
    assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.7


def test_adapters_learn_the_seal_holds_and_the_folder_comes_back(tuned, recipe: TuneRecipe) -> None:  # type: ignore[no-untyped-def]
    told, out = tuned
    assert told.stopped is None and told.after < told.before - 0.5
    config = json.loads((out / "config.json").read_text())
    assert (config["quantize"], config["lineage"]["recipe"]["quantize"]) == ("nf4", "nf4")
    names = load_file(out / "model.safetensors").keys()
    assert any("lora_" in name for name in names)
    assert all(name.startswith("connector.") or "lora_" in name for name in names)
    again = load_vlm(str(out))
    assert is_quantised(again.language_model)
    asked = [user(models.picture(3, 40, 30), "What does this picture show?")]
    assert again.answer(asked, max_tokens=5).text == load_vlm(str(out)).answer(asked, max_tokens=5).text
    before = load_vlm(recipe.start, quantize="nf4")
    plain = {name: p for name, p in before.language_model.named_parameters() if p.dtype == torch.uint8}
    kept = {name.replace(".base_layer", ""): p for name, p in again.language_model.named_parameters()}
    assert plain and all(torch.equal(kept[name], p) for name, p in plain.items())


def test_answering_between_steps_changes_no_weight_and_no_gradient(start: str) -> None:
    """On a processor with bf16 bitsandbytes would lay the weights out anew, and compute what follows by them."""
    model = load_vlm(start, quantize="nf4")
    apply(Policy(lora=LoraLearns(0.1, rank=2)), model)
    seals = sealed(parts_of(model))

    def step() -> tuple[float, list[float]]:
        model.train()
        features = model.encode([models.opened(models.picture(3))])
        loss = model([model.sample(SAID[0], model.extents(features))], features).loss
        loss.backward()
        found = [float(p.grad.norm()) for p in model.parameters() if p.grad is not None]
        model.zero_grad()
        return float(loss.detach()), found

    first = step()
    model.eval()
    model.answer(SAID[0][:1], max_tokens=3)
    assert step() == first and any(first[1])
    require_unchanged(seals, parts_of(model))


def test_it_goes_on_exactly(tuned, recipe: TuneRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from isthmus.vlm.model import VisionLanguageModel

    _, whole = tuned
    forward, calls = VisionLanguageModel.forward, 0

    def dying(self, samples, features=None, **more):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += self.training
        if calls == 6:
            raise KeyboardInterrupt
        return forward(self, samples, features, **more)

    monkeypatch.setattr(VisionLanguageModel, "forward", dying)
    with pytest.raises(KeyboardInterrupt):
        tune(recipe, tmp_path / "out", quiet=True)
    monkeypatch.undo()
    tune(recipe, tmp_path / "out", resume=True, quiet=True)
    mine, its = (load_file(each / "model.safetensors") for each in (tmp_path / "out", whole))
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in mine)


def test_it_is_exported_over_the_full_weights(tuned, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, out = tuned
    made = export_model(str(out), tmp_path / "whole")
    assert made.notes == ("its adapters learned beside weights in four bits and are merged into the full ones",)
    again, full = load_vlm(made.folder), load_vlm(str(out), quantize="full")
    assert not is_quantised(again.language_model) and not is_quantised(full.language_model)
    with torch.no_grad():
        torch.testing.assert_close(logits(again, SAID), logits(full, SAID), rtol=1e-5, atol=1e-4)
    assert export_adapters(str(out), tmp_path / "lora").layout == "peft"


def test_a_plan_counts_what_four_bits_stand_for(recipe: TuneRecipe) -> None:
    small, full = plan(recipe, quiet=True).stages[0], plan(replace(recipe, quantize=None), quiet=True).stages[0]
    assert small.frozen == full.frozen and small.learning == full.learning
    assert small.memory < full.memory


@pytest.mark.parametrize("family", [test_blip2, test_blip2_t5, test_smolvlm, "default"])
def test_other_families(family, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    required("bitsandbytes", "qlora")
    name = default(tmp_path) if family == "default" else family.save(family.reference(), tmp_path)
    model = load_vlm(name, quantize="nf4")
    assert is_quantised(model.language_model)
    apply(Policy(lora=LoraLearns(0.1, rank=2)), model)
    features = model.encode([models.opened(models.picture(3, 80, 60))])
    sample = model.sample([user(models.picture(3, 80, 60), "what is it?"), assistant("a cat")], model.extents(features))
    model.train()([sample], features).loss.backward()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert learning and all("lora_" in name and p.grad is not None for name, p in learning.items())


def test_what_cannot_be_is_said(recipe: TuneRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replace(STAGE, learns=Policy(language_model=Learns(0.1)))
    with pytest.raises(ValueError, match="stage instruct trains all of a language model whose four bits stay"):
        replace(recipe, stages=(whole,))
    with monkeypatch.context() as patched:
        patched.setenv("ACCELERATE_USE_FSDP", "true")
        with pytest.raises(InputError, match="a language model in four bits is not sharded here"):
            tune(recipe, tmp_path / "out", quiet=True)
    from transformers import LlamaForCausalLM

    def refused(*_: object, **__: object) -> None:
        raise RuntimeError("None of the available devices is supported\nby bitsandbytes")

    monkeypatch.setattr(LlamaForCausalLM, "from_pretrained", refused)
    with pytest.raises(InputError, match="cannot be had in four bits: None of the available devices is supported"):
        load_vlm(recipe.start, quantize="nf4")


def test_without_bitsandbytes_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = save_native_llava(tmp_path / "start")
    monkeypatch.setattr("isthmus.vlm.quantised.find_spec", lambda _: None)
    with pytest.raises(MissingPart, match=r"four bits need bitsandbytes \(pip install 'isthmus\[qlora\]'\)"):
        load_vlm(start, quantize="nf4")
