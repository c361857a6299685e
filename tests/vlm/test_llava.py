"""LLaVA-1.5: read from folders and written to them, equal to `transformers` on the same weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from isthmus.connectors.linear import LinearConnector
from isthmus.errors import CorruptPart, InputError
from isthmus.images.open import picture_of
from isthmus.messages import Message, assistant, user
from isthmus.options import Options
from isthmus.vlm.llava import load_llava
from isthmus.vlm.llava_export import save_llava
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import Vicuna

from . import models
from .parity import assert_equal_logits, rewrite, sides

TOKENS = 16
"""Patches of a picture: 4 x 4."""
A, B = models.picture(1), models.picture(2, 30, 60)
PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
}


def reference(dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    """A random LLaVA in the true architecture, all parts disturbed."""
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=32, patch_size=8
    )
    tokenizer = models.spm_bpe()
    text = LlamaConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer) + 7, max_position_embeddings=256,
        tie_word_embeddings=changes.pop("tied", False),
    )  # fmt: skip
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=image, **changes)
    return models.disturbed(LlavaForConditionalGeneration(config), 5).to(dtype)


def save(model: Any, folder: Path, **settings: Any) -> str:
    model.save_pretrained(folder, **settings)
    models.spm_bpe().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(folder)


theirs, folder, ours, copied = sides("llava", reference, save, load_llava)


def inputs(model: Any, messages: list[list[Message]], side: str = "left") -> dict[str, Tensor]:
    """As transformers' processor makes them: <image> as often as a picture has tokens, the text tokenized at once."""
    tokenizer = models.spm_bpe()
    tokenizer.padding_side, tokenizer.pad_token = side, "<unk>"
    texts = []
    for each in messages:
        pieces = Vicuna().pieces(each, prompt=each[-1].role == "user")
        spelled = [getattr(piece, "text", getattr(piece, "token", "<image>" * TOKENS)) for piece in pieces]
        texts.append("".join(spelled).removeprefix("<s>"))
    pictures = [part.source for each in messages for message in each for part in message.pictures]
    made: dict[str, Tensor] = dict(tokenizer(texts, return_tensors="pt", padding=True))
    made.pop("token_type_ids", None)
    if pictures:
        processor = CLIPImageProcessorPil(size=PROCESSOR["size"], crop_size=PROCESSOR["crop_size"])
        made["pixel_values"] = processor(pictures, return_tensors="pt")["pixel_values"].to(model.dtype)
    return made


def assert_parity(ours: VisionLanguageModel, theirs: Any, messages: list[list[Message]], side: str = "left") -> None:
    made = inputs(theirs, messages, side)
    assert_equal_logits(ours, theirs, made, messages, side)


CONVERSATIONS = {
    "one picture": [[user(A, "what is it?")]],
    "two pictures": [[user(A, B, "which is the cat?")]],
    "two turns": [[user(A, "what is it?"), assistant("a cat"), user("and ", B, "here?")]],
    "text alone": [[user("why?")]],
    "an answer": [[user(A, "what is it?"), assistant("a cat é")]],
}


@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_logits(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    assert_parity(ours, theirs, CONVERSATIONS[name])


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_a_padded_batch(ours: VisionLanguageModel, theirs: Any, side: str) -> None:
    assert_parity(ours, theirs, [each for said in CONVERSATIONS.values() for each in said], side)


@pytest.mark.parametrize("name", ["one picture", "two pictures", "two turns", "text alone"])
def test_greedy_text(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    messages = CONVERSATIONS[name]
    made = inputs(theirs, messages)
    ids = theirs.generate(**made, max_new_tokens=20, do_sample=False, pad_token_id=0)[0, made["input_ids"].shape[1] :]
    answer = ours.answer(messages[0], max_tokens=20)
    assert answer.tokens_in == made["input_ids"].shape[1]
    assert answer.tokens_out == len(ids)
    assert answer.text == models.shown(ours, ids.tolist())


def test_greedy_text_of_a_batch(ours: VisionLanguageModel, theirs: Any) -> None:
    messages = [CONVERSATIONS[name][0] for name in ("one picture", "two pictures", "two turns", "text alone")]
    made = inputs(theirs, messages)
    ids = theirs.generate(**made, max_new_tokens=12, do_sample=False, pad_token_id=0)[:, made["input_ids"].shape[1] :]
    expected = [models.shown(ours, each.tolist()) for each in ids]
    for side in ("left", "right"):
        assert [each.text for each in ours.answers(messages, Options(12), padding=side)] == expected  # type: ignore[arg-type]


def test_parts_are_what_they_should_be(ours: VisionLanguageModel) -> None:
    assert type(ours.language_model) is LlamaForCausalLM
    assert (ours.encoder.layer, ours.encoder.drop_class_token) == (-2, True)
    assert [name for name, each in ours.named_parameters() if each.requires_grad] == [
        f"connector.maps.{i}.{leaf}" for i in (0, 1) for leaf in ("weight", "bias")
    ]
    assert not any(each.is_meta for each in (*ours.parameters(), *ours.buffers()))


def published(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names in llava-hf's repositories: the tower has its vision_model."""
    renamed = {key.replace("vision_tower.", "vision_tower.vision_model."): each for key, each in tensors.items()}
    assert "language_model.model.embed_tokens.weight" in renamed
    return renamed


def modules(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of transformers' modules themselves."""
    out = {}
    for key, each in tensors.items():
        key = key.replace("language_model.model.", "language_model.")
        out[key.removeprefix("language_model.") if "lm_head" in key else f"model.{key}"] = each
    assert "model.language_model.embed_tokens.weight" in out
    assert "lm_head.weight" in out
    return out


@pytest.mark.parametrize("names", [published, modules])
def test_all_names_there_are(copied: Path, theirs: Any, names: Callable[[Any], Any]) -> None:
    rewrite(copied, names)
    assert_parity(load_llava(str(copied)), theirs, CONVERSATIONS["two pictures"])


def test_shards_in_halves(tmp_path: Path) -> None:
    """Stored in bfloat16 and in pieces: kept so by default, widened where asked for."""
    name = save(reference(torch.bfloat16), tmp_path, max_shard_size="60KB")
    theirs = LlavaForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert_parity(load_llava(name, dtype=torch.float32), theirs, CONVERSATIONS["two pictures"])
    half = load_llava(name)
    assert {each.dtype for each in half.parameters()} == {torch.bfloat16}
    assert half.encoder.tower.patch_embed.weight.dtype == torch.bfloat16
    assert half.ask(A, "what?", max_tokens=4).tokens_out == 4


def test_tied_embeddings(tmp_path: Path) -> None:
    theirs = reference(tied=True)
    ours = load_llava(save(theirs, tmp_path))
    assert ours.language_model.lm_head.weight is ours.language_model.model.embed_tokens.weight
    assert_parity(ours, theirs, CONVERSATIONS["one picture"])
    save_llava(ours, tmp_path / "out")
    assert "language_model.lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")
    again = LlavaForConditionalGeneration.from_pretrained(tmp_path / "out")
    assert_parity(ours, again, CONVERSATIONS["one picture"])


def test_a_tensor_that_is_as_asked_for_is_not_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The language model's parameters are the very tensors that were read."""
    from isthmus.checkpoints import Checkpoint

    read: dict[int, str] = {}
    original = Checkpoint.tensors

    def note(self: Checkpoint, prefix: str = "") -> dict[str, Tensor]:
        found = original(self, prefix)
        read.update({each.data_ptr(): prefix for each in found.values()})
        return found

    monkeypatch.setattr(Checkpoint, "tensors", note)
    model = load_llava(str(folder))
    assert all(each.data_ptr() in read for each in model.parameters())


@pytest.mark.parametrize("feature", [{"vision_feature_layer": -1}, {"vision_feature_select_strategy": "full"}])
def test_other_tokens_of_the_tower(tmp_path: Path, feature: dict[str, Any]) -> None:
    theirs = reference(**feature)
    ours = load_llava(save(theirs, tmp_path))
    full = "vision_feature_select_strategy" in feature
    tokens = ours.extents(ours.encode([picture_of(A, at_least=ours.encoder.fit.at_least)]))[0].tokens
    assert tokens == TOKENS + full
    if not full:
        assert_parity(ours, theirs, CONVERSATIONS["one picture"])


def test_a_folder_written_is_loaded_by_transformers(ours: VisionLanguageModel, theirs: Any, tmp_path: Path) -> None:
    save_llava(ours, tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    again, report = LlavaForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    mine, original = again.state_dict(), theirs.state_dict()
    assert mine.keys() == original.keys()
    assert all(torch.equal(mine[key], original[key]) for key in mine)
    assert_parity(ours, again, CONVERSATIONS["two pictures"])
    for key in ("vision_feature_layer", "vision_feature_select_strategy", "image_token_index", "projector_hidden_act"):
        assert getattr(again.config, key) == getattr(theirs.config, key)
    mine, original = again.config.vision_config.to_dict(), theirs.config.vision_config.to_dict()
    assert mine | {"dtype": None} == original | {"dtype": None}  # theirs was never saved, so it has none
    assert GenerationConfig.from_pretrained(tmp_path).eos_token_id == 2
    typed = "USER: <image>\nwhat? </s>"
    assert AutoTokenizer.from_pretrained(tmp_path).encode(typed) == models.spm_bpe().encode(typed)


def test_a_folder_written_is_read_back(ours: VisionLanguageModel, folder: Path, tmp_path: Path) -> None:
    save_llava(ours, tmp_path)
    written = "".join(file.read_text() for file in tmp_path.glob("*.json"))
    assert "_name_or_path" not in written
    assert str(folder) not in written  # where it came from is nobody's business
    again = load_llava(str(tmp_path))
    assert again.encoder.fit == ours.encoder.fit
    for (name, mine), (_, its) in zip(again.state_dict().items(), ours.state_dict().items(), strict=True):
        assert torch.equal(mine, its), name
    assert again.ask(A, "what?", max_tokens=8).text == ours.ask(A, "what?", max_tokens=8).text
    config = CLIPImageProcessorPil.from_pretrained(tmp_path)
    pixels = config(A, return_tensors="pt")["pixel_values"][0]
    view = torch.from_numpy(ours.encoder.fit(picture_of(A, at_least=ours.encoder.fit.at_least)).views[0].pixels)
    assert (pixels - view).abs().max() <= 1e-5


def test_pictures_are_prepared_as_the_processor_does(ours: VisionLanguageModel) -> None:
    processor = CLIPImageProcessorPil(size=PROCESSOR["size"], crop_size=PROCESSOR["crop_size"])
    for picture in (A, B, Image.new("L", (40, 40), 90)):
        theirs = processor(picture.convert("RGB"), return_tensors="pt")["pixel_values"][0]
        view = ours.encoder.fit(picture_of(picture, at_least=ours.encoder.fit.at_least)).views[0]
        assert (torch.from_numpy(view.pixels) - theirs).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("multi_modal_projector.linear_2.bias", "has a projector that does not fit its config: maps.1.bias is missing"),
        ("language_model.model.layers.1.mlp.up_proj.weight", "has a language model that does not fit its config"),
        ("language_model.lm_head.weight", "has a language model that does not fit its config: lm_head.weight"),
        ("language_model.model.embed_tokens.weight", "lacks the tensor language_model.model.embed_tokens.weight"),
        ("vision_tower.post_layernorm.bias", "lacks the tensor post_layernorm.bias"),
    ],
)
def test_a_lost_tensor_is_named(copied: Path, lost: str, said: str) -> None:
    rewrite(copied, lambda tensors: {key: each for key, each in tensors.items() if key != lost})
    with pytest.raises(CorruptPart) as raised:
        load_llava(str(copied))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_misshapen_tensor_is_refused(copied: Path) -> None:
    key = "language_model.model.layers.1.mlp.up_proj.weight"
    rewrite(copied, lambda tensors: tensors | {key: torch.zeros(3, 48)})
    with pytest.raises(CorruptPart, match="does not fit its config"):
        load_llava(str(copied))


def test_a_folder_without_a_tokenizer_is_refused(copied: Path) -> None:
    for file in copied.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(CorruptPart) as raised:
        load_llava(str(copied))
    assert "has no tokenizer" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "llava_next"}, "is no LLaVA-1.5: its model_type is llava_next"),
        ({"vision_feature_layer": [-2, -1]}, "joins several layers of its tower"),
        ({"projector_hidden_act": "relu"}, "has a projector with relu"),
    ],
)
def test_what_cannot_be_read_is_said(copied: Path, change: dict[str, Any], said: str) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=said):
        load_llava(str(copied))


def test_only_its_own_shape_can_be_written(ours: VisionLanguageModel, tmp_path: Path) -> None:
    def other(**changes: Any) -> VisionLanguageModel:
        parts = {"encoder": ours.encoder, "connector": ours.connector, "language_model": ours.language_model}
        return VisionLanguageModel(**{**parts, "tokenizer": ours.tokenizer, "template": Vicuna(), **changes})

    for model, said in [
        (other(connector=LinearConnector(32, 48)), "its connector is no MLP of two maps"),
        (other(connector=models.connector(layers=3)), "its connector is no MLP of two maps"),
        (other(encoder=models.encoder()), "its encoder is no CLIP tower|its encoder computes"),
        (other(language_model=models.llama(300)), "has no <image> within the 300 rows of the embeddings"),
    ]:
        with pytest.raises(InputError, match=said):
            save_llava(model, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.full
def test_the_true_architecture() -> None:
    """LLaVA-1.5-7B's sizes on the meta device: every parameter has its place, 7.06 billion of them."""
    from isthmus.connectors.mlp import MlpConnector
    from isthmus.vision.families import read_vision_config
    from isthmus.vision.importers import export_tower
    from isthmus.vision.vit import VisionTransformer

    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14,
    )  # fmt: skip
    with torch.device("meta"):
        theirs = LlavaForConditionalGeneration(
            LlavaConfig(vision_config=vision, text_config=LlamaConfig(vocab_size=32064))
        )
        tower = VisionTransformer(read_vision_config(vision.to_dict())[1])
        connector = MlpConnector(1024, 4096)
        language = LlamaForCausalLM(LlamaConfig(vocab_size=32064))
    counted = sum(each.numel() for part in (tower, connector, language) for each in part.parameters())
    assert counted == sum(each.numel() for each in theirs.parameters()) == 7_063_427_072
    expected = {
        key: each.shape for key, each in theirs.model.vision_tower.state_dict().items() if "position_ids" not in key
    }
    assert {key: each.shape for key, each in export_tower(tower, "clip").items()} == expected
