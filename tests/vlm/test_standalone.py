"""What was trained further, on its own: the same logits, by load_vlm, by transformers, by peft."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForImageTextToText,
    Blip2ForConditionalGeneration,
    LlavaForConditionalGeneration,
    SmolVLMForConditionalGeneration,
)

from isthmus.checkpoints import resolve
from isthmus.connectors.align import AlignConnector
from isthmus.connectors.hint import HintConnector, HintShape
from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.errors import InputError, MissingPart
from isthmus.evaluation.mending import write_mended
from isthmus.messages import assistant, user
from isthmus.training.policy import Learns, LoraLearns, Policy, apply
from isthmus.vision.depths import DepthsEncoder
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vlm.adapters import merge_adapters
from isthmus.vlm.default import question_tokenizer_of, save_default_vlm
from isthmus.vlm.export import Folder
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.standalone import export_adapters, export_model
from isthmus.vlm.template import ChatML
from isthmus.vlm.tuned import save_tuned
from tests.evaluation.packages import default_part
from tests.vlm import models, test_blip2, test_llava, test_smolvlm
from tests.vlm.parity import logits

FAMILIES = {"LLaVA-1.5": test_llava, "BLIP-2": test_blip2, "SmolVLM": test_smolvlm}
CLASSES = {
    "LLaVA-1.5": LlavaForConditionalGeneration,
    "BLIP-2": Blip2ForConditionalGeneration,
    "SmolVLM": SmolVLMForConditionalGeneration,
}
SAID = [[user(models.picture(3), "what is it?"), assistant("a cat")]]
ASKED = [user(models.picture(3, 80, 60), "what is it?")]
BOTH = Policy(connector=Learns(0.1), lora=LoraLearns(0.1, rank=3, scale=1.5))


def trained(start: str, folder: Path, policy: Policy = BOTH) -> VisionLanguageModel:
    """As training would leave it: all that learns has moved."""
    model = load_vlm(start, dtype=torch.float32)
    apply(policy, model)
    torch.manual_seed(1)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in names:
                parameter.add_(0.2 * parameter.abs().mean().clamp(min=0.2) * torch.randn_like(parameter))
    adapters = None if policy.lora is None else policy.lora.shape
    save_tuned(model, folder, names, start=start, adapters=adapters, about={"lineage": {"recipe": {"seed": 7}}})
    return model.requires_grad_(False).eval()


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """Its name, a folder of it that was trained further, and that model."""
    made = FAMILIES[request.param]
    start = made.save(made.reference(), tmp_path_factory.mktemp("start"))
    out = tmp_path_factory.mktemp("trained") / "mine"
    return request.param, out, trained(start, out)


def close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= 1e-5 * max(1.0, float(other.abs().max())))


@torch.no_grad()
def test_on_its_own_it_says_the_same_to_us_and_to_transformers(family: tuple[str, Path, Any], tmp_path: Path) -> None:
    name, folder, model = family
    made = export_model(str(folder), tmp_path / "new" / "out", dtype=torch.float32)
    assert (made.layout, made.read_by) == (name, ("transformers", "load_vlm"))
    again = load_vlm(made.folder)
    assert not any("lora_" in key for key, _ in again.named_parameters())
    expected = logits(model, SAID)
    assert close(logits(again, SAID), expected)
    assert not close(
        logits(load_vlm(json.loads((folder / "config.json").read_text())["start"]["name"]), SAID), expected
    )
    kept = json.loads((tmp_path / "new" / "out" / "lineage.json").read_text())["exported"]
    assert kept["name"] == str(folder) and kept["lineage"]["recipe"]["seed"] == 7
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["out"]


@torch.no_grad()
def test_transformers_gives_the_same_logits(family: tuple[str, Path, Any], tmp_path: Path) -> None:
    name, folder, model = family
    made = export_model(str(folder), tmp_path / "out", dtype=torch.float32)
    theirs = AutoModelForImageTextToText.from_pretrained(made.folder).eval()
    assert isinstance(theirs, CLASSES[name])
    FAMILIES[name].assert_parity(model, theirs, SAID)


@torch.no_grad()
def test_adapters_alone_are_read_by_peft(family: tuple[str, Path, Any], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    _, folder, model = family
    made = export_adapters(str(folder), tmp_path / "lora")
    assert made.notes == ("its connector learned too and is not among the adapters",)
    start = json.loads((folder / "config.json").read_text())["start"]["name"]
    language = load_vlm(start, dtype=torch.float32).language_model
    ids = torch.arange(5, 25)[None]
    plain = language(input_ids=ids).logits
    theirs = peft.PeftModel.from_pretrained(language, made.folder)
    expected = model.language_model(input_ids=ids).logits
    assert close(theirs(input_ids=ids).logits, expected) and not close(plain, expected)
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["task_type"]) == (3, 4.5, "CAUSAL_LM")
    assert sorted(each.name for each in (tmp_path / "lora").iterdir() if each.suffix != ".md") == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def default(folder: Path) -> str:
    """As default/vlm, but for a small language model."""
    language, tokenizer = models.llama(), models.byte_bpe()
    Folder(language.state_dict(), language.config, language.generation_config, {"": tokenizer}).write(
        folder / "llama", "1GB"
    )
    torch.manual_seed(0)
    classes = torch.nn.functional.normalize(torch.randn(1000, 16), dim=-1)
    encoder = DepthsEncoder(load_efficientnet(resolve("default/efficientnet-lite0")), classes)
    rows = language.get_input_embeddings().weight
    shape = QFormerConfig(encoder.width, 48, width=32, layers=2, heads=2, width_ffn=48, queries=4)
    inner = AlignConnector(rows[100:109], QFormerConnector(shape))
    connector = HintConnector(inner, rows, HintShape(width=32, heads=4, width_ffn=48, row=2))
    asked = question_tokenizer_of(connector, tokenizer)
    model = VisionLanguageModel(encoder, connector, language, tokenizer, ChatML(), question_tokenizer=asked)
    name = str(folder / "llama")
    save_default_vlm(model, folder / "vlm", language_model=(name, resolve(name).fingerprint), about={})
    return str(folder / "vlm")


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, None])
def test_a_default_model_is_written_as_ours(tmp_path: Path, dtype: torch.dtype | None) -> None:
    default_part("default/efficientnet-lite0")
    model = trained(default(tmp_path), tmp_path / "mine")
    made = export_model(str(tmp_path / "mine"), tmp_path / "out", dtype=dtype)
    assert made.read_by == ("load_vlm",)
    assert made.notes[0].endswith("the encoder stays default/efficientnet-lite0, by name, out of its package")
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "llama").rename(tmp_path / "away")
    again = load_vlm(str(tmp_path / "moved"), dtype=torch.float32)
    same = close(logits(again, [ASKED]), logits(model, [ASKED]))
    if dtype is None:  # the language model in bfloat16, and only it
        assert not same
        mine = dict(model.connector.named_parameters())
        assert all(torch.equal(each, mine[key]) for key, each in again.connector.named_parameters())
    else:
        assert same
        assert again.answer(ASKED, max_tokens=6).text == model.answer(ASKED, max_tokens=6).text


@torch.no_grad()
def test_a_connector_that_speaks_in_words_that_learned_has_no_place(tmp_path: Path) -> None:
    default_part("default/efficientnet-lite0")
    trained(default(tmp_path), tmp_path / "mine", Policy(embeddings=Learns(0.1)))
    with pytest.raises(InputError, match="its embeddings learned, and its connector speaks in them"):
        export_model(str(tmp_path / "mine"), tmp_path / "out", dtype=torch.float32)
    assert not (tmp_path / "out").exists()


def test_without_adapters_the_connector_is_exported(tmp_path: Path) -> None:
    start = test_llava.save(test_llava.reference(dtype=torch.bfloat16), tmp_path / "start")
    model = trained(start, tmp_path / "mine", Policy(connector=Learns(0.1)))
    made = export_model(str(tmp_path / "mine"), tmp_path / "out")
    again = load_vlm(made.folder)
    assert again.language_model.dtype == torch.bfloat16, "as it was stored"
    for key, weight in again.connector.named_parameters():
        assert torch.equal(weight, dict(model.connector.named_parameters())[key].to(weight.dtype))
    with pytest.raises(InputError, match="has no adapters"):
        export_adapters(str(tmp_path / "mine"), tmp_path / "lora")


def test_what_cannot_be_exported_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = test_llava.save(test_llava.reference(), tmp_path / "start")
    with pytest.raises(
        InputError, match="start is no composed model that was trained further: its model_type is llava"
    ):
        export_model(start, tmp_path / "out")
    trained(start, tmp_path / "mine")
    with pytest.raises(InputError, match="holds something already"):
        export_model(str(tmp_path / "mine"), tmp_path / "start")
    monkeypatch.setattr("isthmus.vlm.standalone.WRITERS", {})
    with pytest.raises(InputError, match="cannot be exported whole: it began as llava"):
        export_model(str(tmp_path / "mine"), tmp_path / "out")

    def full(_: object, folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("isthmus.vlm.standalone.WRITERS", {"llava": ("LLaVA", full)})
    with pytest.raises(MissingPart, match="No space left"):
        export_model(str(tmp_path / "mine"), tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine", "start"]


@torch.no_grad()
def test_a_mended_one_lies_between_what_it_began_as_and_itself(tmp_path: Path) -> None:
    """Merged, its weights are on the line between the two; at the ends it is one of them."""
    start = test_llava.save(test_llava.reference(), tmp_path / "start")
    trained(start, tmp_path / "mine")

    def whole(folder: str) -> dict[str, Tensor]:
        merged = load_vlm(folder, dtype=torch.float32)
        if folder != start:
            merge_adapters(merged.language_model)
        return {name: each for name, each in merged.state_dict().items() if "rotary" not in name}

    before, after = whole(start), whole(str(tmp_path / "mine"))
    for alpha in (0.0, 0.25, 1.0):
        made = write_mended(resolve(start), resolve(str(tmp_path / "mine")), alpha, tmp_path / f"{alpha}")
        found = whole(str(made))
        assert found.keys() == before.keys()
        assert all(close(found[name], torch.lerp(before[name], after[name], alpha)) for name in before)
    assert any(not torch.equal(before[name], after[name]) for name in before if "language_model" in name)


def test_a_mended_one_goes_back_to_what_it_began_as_and_nowhere_else(tmp_path: Path) -> None:
    start = test_llava.save(test_llava.reference(), tmp_path / "start")
    trained(start, tmp_path / "mine")
    trained(start, tmp_path / "other", Policy(connector=Learns(0.1)))
    with pytest.raises(InputError, match=r"did not begin as .*other.*it began as .*start"):
        write_mended(resolve(str(tmp_path / "other")), resolve(str(tmp_path / "mine")), 0.5, tmp_path / "mended")
