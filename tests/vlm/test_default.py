"""A default model is saved with what it was trained on and comes back equal; another part in its place is refused."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from isthmus.checkpoints import resolve
from isthmus.connectors.align import AlignConnector
from isthmus.connectors.hint import HintConnector, HintShape
from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.names import NamesConnector, NamesShape
from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.connectors.soft_prompt import SoftPromptConnector
from isthmus.errors import CorruptPart, FitMismatch
from isthmus.messages import user
from isthmus.precision import fast_dtype
from isthmus.vision.depths import DepthsEncoder
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vlm.default import question_tokenizer_of, save_default_vlm
from isthmus.vlm.language_model import LanguageModel, load_language_model
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.seal import require_seal, seal
from isthmus.vlm.template import ChatML

pytestmark = pytest.mark.xdist_group("smollm2")
CAT = Image.effect_noise((80, 60), 60).convert("RGB")


@pytest.fixture(scope="module")
def language() -> LanguageModel:
    return load_language_model("default/smollm2", dtype=fast_dtype("cpu"))


def saved(folder: Path, kind: str, language: LanguageModel) -> VisionLanguageModel:
    torch.manual_seed(0)
    classes = torch.nn.functional.normalize(torch.randn(1000, 16), dim=-1)
    encoder = DepthsEncoder(load_efficientnet(resolve("default/efficientnet-lite0")), classes)
    shape = QFormerConfig(encoder.width, 576, width=32, layers=2, heads=2, width_ffn=48, queries=4)
    connector = MlpConnector(encoder.width, 576) if kind == "mlp" else QFormerConnector(shape)
    rows = language.model.get_input_embeddings().weight
    if kind != "mlp" and kind != "qformer":
        connector = AlignConnector(rows[100:109], connector)
    if "names" in kind:
        connector = NamesConnector(connector, torch.tensor([[0, 0], [3, 8], [5, 0]]), NamesShape((1,), 3, 2, rank=5))
        torch.nn.init.normal_(connector.name.weight)
    if "hint" in kind:
        connector = HintConnector(connector, rows, HintShape(width=32, heads=4, width_ffn=48, row=2))
    if kind.startswith("soft prompt"):
        connector = SoftPromptConnector(torch.randn(3, 576), connector)
    # as it will be kept: in half precision
    for parameter in connector.parameters():
        parameter.data = parameter.data.half().float()
    asked = question_tokenizer_of(connector, language.tokenizer)
    model = VisionLanguageModel(
        encoder, connector, language.model, language.tokenizer, ChatML(), question_tokenizer=asked
    ).eval()
    save_default_vlm(model, folder, language_model=(language.name, language.fingerprint), about={"lineage": {}})
    return model


@pytest.mark.parametrize(
    "kind",
    ["mlp", "qformer", "align", "soft prompt, align", "soft prompt, hint, align", "soft prompt, hint, names, align"],
)
def test_what_was_saved_answers_the_same(tmp_path: Path, kind: str, language: LanguageModel) -> None:
    model = saved(tmp_path, kind, language)
    loaded = load_vlm(str(tmp_path))
    assert loaded.name == str(tmp_path)
    assert loaded.encoder.fingerprint == model.encoder.fingerprint
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    messages = [user(CAT, "What is this?")]
    assert loaded.answer(messages, max_tokens=8).text == model.answer(messages, max_tokens=8).text
    assert (loaded.question_tokenizer is None) == ("hint" not in kind)


def test_words_are_kept_as_their_ids(tmp_path: Path, language: LanguageModel) -> None:
    model = saved(tmp_path, "soft prompt, hint, align", language)
    kept = load_file(tmp_path / "model.safetensors")
    (words,) = [value for key, value in kept.items() if key.endswith(".words")]
    rows = language.model.get_input_embeddings().weight
    assert torch.equal(rows[words].float(), model.connector.inner.inner.words)
    model.connector.inner.inner.words += 1
    with pytest.raises(ValueError, match="words that the language model does not have"):
        save_default_vlm(model, tmp_path, language_model=(language.name, language.fingerprint), about={})


@pytest.mark.parametrize(
    ("part", "key", "error", "says"),
    [
        ("encoder", "fingerprint", CorruptPart, "not the encoder"),
        ("language_model", "fingerprint", CorruptPart, "not the language model"),
        ("encoder", "fit", FitMismatch, "another Fit"),
        ("connector", "kind", CorruptPart, "no default model"),
    ],
)
def test_another_part_in_its_place_is_refused(
    tmp_path: Path, language: LanguageModel, part: str, key: str, error: type[Exception], says: str
) -> None:
    saved(tmp_path, "mlp", language)
    config = json.loads((tmp_path / "config.json").read_text())
    config[part][key] = "another"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(error, match=says) as caught:
        load_vlm(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_the_seal_breaks_with_a_single_bit() -> None:
    part = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).to(torch.bfloat16)
    before = seal(part)
    require_seal(before, part)
    assert seal(part) == before
    with torch.no_grad():
        part[0].weight.view(torch.int16)[0, 0] ^= 1
    with pytest.raises(CorruptPart, match="has changed"):
        require_seal(before, part)
    with torch.no_grad():
        part[0].weight.view(torch.int16)[0, 0] ^= 1
    require_seal(before, part)
    part[1].running_mean[0] += 1  # buffers are part of what is frozen
    assert seal(part) != before
