"""LLaVA-NeXT: tiles put together as `transformers` does, counted before they are made, and traced back."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    MistralConfig,
)
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from isthmus.errors import CorruptPart, InputError
from isthmus.images.fits import Crop
from isthmus.images.open import picture_of
from isthmus.messages import Message, assistant, user
from isthmus.options import Options
from isthmus.vision.features import Frame
from isthmus.vlm.inspect import inspect
from isthmus.vlm.llava_next import load_llava_next, save_llava_next
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import Mistral, Template, Vicuna

from . import models
from .parity import assert_equal_logits, rewrite, sides

PINPOINTS = [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96]]
PROCESSOR = {
    "image_processor_type": "LlavaNextImageProcessor",
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
    "image_grid_pinpoints": PINPOINTS,
}
# wide, tall, nearly square, thin
A, B, C, D = (models.picture(i, *size) for i, size in enumerate([(70, 40), (30, 60), (50, 49), (90, 11)], 1))


def processor() -> Any:
    made = models.spm_bpe()
    made.pad_token = "<unk>"
    pictured = LlavaNextImageProcessorPil(**{key: PROCESSOR[key] for key in list(PROCESSOR)[1:]})
    settings = {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return LlavaNextProcessor(pictured, made, **settings)


def reference(language: str = "llama", dtype: torch.dtype = torch.float32) -> Any:
    """A random LLaVA-NeXT in the true architecture, all parts disturbed."""
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=32, patch_size=8
    )
    tokenizer = models.spm_bpe()
    made = {"llama": LlamaConfig, "mistral": MistralConfig}[language]
    text = made(
        hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer) + 7, max_position_embeddings=512,
    )  # fmt: skip
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaNextConfig(
        vision_config=vision, text_config=text, image_token_index=image, image_grid_pinpoints=PINPOINTS
    )
    return models.disturbed(LlavaNextForConditionalGeneration(config), 5).to(dtype)


def save(model: Any, folder: Path, **settings: Any) -> str:
    model.save_pretrained(folder, **settings)
    models.spm_bpe().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(folder)


theirs, folder, ours, copied = sides("llava-next", reference, save, load_llava_next)


def inputs(messages: list[list[Message]], side: str = "left", template: Template | None = None) -> dict[str, Tensor]:
    """By transformers' own processor, which counts the tokens by itself."""
    template = template or Vicuna()
    texts = []
    for each in messages:
        pieces = template.pieces(each, prompt=each[-1].role == "user")
        spelled = [getattr(piece, "text", getattr(piece, "token", "<image>")) for piece in pieces]
        texts.append("".join(spelled).removeprefix("<s>"))
    pictures = [part.source for each in messages for message in each for part in message.pictures]
    made = processor()
    made.tokenizer.padding_side = side
    return dict(made(images=pictures or None, text=texts, padding=True, return_tensors="pt"))


def assert_parity(ours: VisionLanguageModel, theirs: Any, messages: list[list[Message]], side: Any = "left") -> None:
    made = inputs(messages, side, ours.template)
    assert_equal_logits(ours, theirs, made, messages, side)


CONVERSATIONS = {
    "wide": [[user(A, "what is it?")]],
    "tall": [[user(B, "what is it?")]],
    "nearly square": [[user(C, "what is it?")]],
    "thin": [[user(D, "what is it?")]],
    "two pictures": [[user(A, B, "which is the cat?")]],
    "two turns": [[user(B, "what is it?"), assistant("a cat"), user("and ", C, "here?")]],
    "text alone": [[user("why?")]],
}


@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_logits(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    assert_parity(ours, theirs, CONVERSATIONS[name])


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_a_padded_batch(ours: VisionLanguageModel, theirs: Any, side: str) -> None:
    """Pictures of different tile counts, padded in the encoder, in the connector and in the language model."""
    assert_parity(ours, theirs, [each for said in CONVERSATIONS.values() for each in said], side)


@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_greedy_text(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    messages = CONVERSATIONS[name]
    made = inputs(messages)
    ids = theirs.generate(**made, max_new_tokens=16, do_sample=False, pad_token_id=0)[0, made["input_ids"].shape[1] :]
    answer = ours.answer(messages[0], max_tokens=16)
    assert (answer.tokens_in, answer.tokens_out) == (made["input_ids"].shape[1], len(ids))
    assert answer.text == models.shown(ours, ids.tolist())


def test_batched_is_single(ours: VisionLanguageModel) -> None:
    asked = [each for said in CONVERSATIONS.values() for each in said]
    for side in ("left", "right"):
        together = ours.answers(asked, Options(8), padding=side)
        assert [each.text for each in together] == [ours.answer(each, max_tokens=8).text for each in asked]


@settings(max_examples=100)
@given(st.integers(8, 900), st.integers(8, 900))
def test_every_token_stands_where_theirs_does(ours: VisionLanguageModel, theirs: Any, width: int, height: int) -> None:
    """Whatever the picture's size: theirs is given the tokens' numbers for features."""
    rows, columns = ours.encoder.fit.grid(width, height)
    n = 16 * (1 + rows * columns)
    numbers = torch.arange(n, dtype=torch.float32).view(-1, 16, 1)
    line_end = torch.tensor([-1.0])
    packed, counts = theirs.model.pack_image_features(
        [numbers], torch.tensor([[height, width]]), "default", image_newline=line_end
    )
    frame = Frame(width, height, (rows, columns))
    assert list(ours.connector.order(n, frame)) == packed[0].flatten().int().tolist()
    assert ours.connector.num_tokens(n, frame) == int(counts[0])


def test_the_second_question_reads_the_picture_once(ours: VisionLanguageModel) -> None:
    talk = ours.conversation()
    talk.ask(A, "what is it?", Options(4))
    again = talk.ask(A, "how many dogs?", Options(8))
    features = ours.encode([picture_of(A, at_least=ours.encoder.fit.at_least)])
    assert again.tokens_reused > ours.extents(features)[0].tokens
    assert again.text == ours.ask(A, "how many dogs?", max_tokens=8).text


def test_regions_follow_the_tiles(ours: VisionLanguageModel) -> None:
    """Rows of the whole picture from left to right, each ended by a token that saw nothing."""
    rows = [row for row in inspect(ours, [user(A, "what?"), assistant("a cat")]).rows if row.picture == 0]
    assert [row.region is None for row in rows[:16]] == [False] * 16
    overview = [row.region for row in rows[:16]]
    assert overview[0] == pytest.approx((0, 0, 70 / 4, 40 / 4))
    assert overview[-1] == pytest.approx((70 * 3 / 4, 30, 70, 40))
    ends = [at for at, row in enumerate(rows) if row.region is None]
    assert ends[-1] == len(rows) - 1
    lines = [rows[a + 1 : b] for a, b in zip([15, *ends], ends, strict=False)]
    assert {len(line) for line in lines} == {8}, "two tiles of four tokens stand side by side"
    for above, below in pairwise(lines):
        assert above[0].region[3] == pytest.approx(below[0].region[1])
    for line in lines:
        assert len({row.region[1] for row in line}) == 1
        assert all(a.region[2] == pytest.approx(b.region[0]) for a, b in pairwise(line))
        assert line[0].region[0] == pytest.approx(0, abs=0.1)
        assert line[-1].region[2] == pytest.approx(70, abs=0.1)
        assert line[0].region[1] < 40, "no row lies in the padding alone"
        assert line[0].region[3] > 0
    assert "picture 0: a learned token" in inspect(ours, [user(A, "what?")]).table()


def test_every_parameter_of_the_connector_learns_and_nothing_else(ours: VisionLanguageModel) -> None:
    features = ours.encode([picture_of(A, at_least=ours.encoder.fit.at_least)])
    sample = ours.sample([user(A, "what?"), assistant("a cat")], ours.extents(features))
    ours([sample], features).loss.backward()
    graded = {name for name, each in ours.named_parameters() if each.grad is not None and each.grad.abs().sum() > 0}
    assert graded == {f"connector.{name}" for name, _ in ours.connector.named_parameters()}
    ours.zero_grad()


def test_mistral(tmp_path: Path) -> None:
    theirs = reference("mistral")
    ours = load_llava_next(save(theirs, tmp_path))
    assert isinstance(ours.template, Mistral)
    assert_parity(ours, theirs, CONVERSATIONS["two turns"])
    assert Mistral().pieces(CONVERSATIONS["text alone"][0], prompt=True)[1].text == "[INST] "


def test_other_language_models_need_a_template(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["text_config"]["model_type"] = "qwen2"
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="has the language model qwen2: how it is spoken to is not known"):
        load_llava_next(str(copied))


def test_shards_in_halves(tmp_path: Path) -> None:
    name = save(reference(dtype=torch.bfloat16), tmp_path, max_shard_size="60KB")
    theirs = LlavaNextForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    assert_parity(load_llava_next(name, dtype=torch.float32), theirs, CONVERSATIONS["two pictures"])
    half = load_llava_next(name)
    assert {each.dtype for each in half.parameters()} == {torch.bfloat16}
    assert half.ask(A, "what?", max_tokens=4).tokens_out == 4


def test_published_names(copied: Path, theirs: Any) -> None:
    """llava-hf's repositories: the tower has its vision_model."""
    rewrite(copied, lambda old: {k.replace("vision_tower.", "vision_tower.vision_model."): v for k, v in old.items()})
    assert "image_newline" in load_file(copied / "model.safetensors")
    assert_parity(load_llava_next(str(copied)), theirs, CONVERSATIONS["wide"])


def test_a_folder_written_is_loaded_by_transformers(ours: VisionLanguageModel, theirs: Any, tmp_path: Path) -> None:
    save_llava_next(ours, tmp_path)
    again, report = LlavaNextForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    mine, original = again.state_dict(), theirs.state_dict()
    assert mine.keys() == original.keys()
    assert all(torch.equal(mine[key], original[key]) for key in mine)
    assert_parity(ours, again, CONVERSATIONS["two pictures"])
    read = load_llava_next(str(tmp_path))
    assert read.encoder.fit == ours.encoder.fit
    assert read.ask(A, "what?", max_tokens=8).text == ours.ask(A, "what?", max_tokens=8).text
    config = LlavaNextImageProcessorPil.from_pretrained(tmp_path)
    views = torch.stack([torch.from_numpy(view.pixels) for view in read.encoder.fit(models.opened(A)).views])
    assert (config(A, return_tensors="pt")["pixel_values"][0] - views).abs().max() <= 1e-5


def test_what_cannot_be_read_is_said(copied: Path) -> None:
    file = copied / "preprocessor_config.json"
    file.write_text(json.dumps(PROCESSOR | {"image_grid_pinpoints": PINPOINTS[:2]}))
    with pytest.raises(CorruptPart, match=r"image_grid_pinpoints of config\.json and preprocessor_config\.json differ"):
        load_llava_next(str(copied))
    file.write_text(json.dumps(PROCESSOR | {"image_processor_type": "CLIPImageProcessor"}))
    with pytest.raises(InputError, match="does not read tiles as LLaVA-NeXT does: its Fit is Crop"):
        load_llava_next(str(copied))
    file.write_text(json.dumps(PROCESSOR))
    rewrite(copied, lambda old: {key: each for key, each in old.items() if key != "image_newline"})
    with pytest.raises(CorruptPart, match="lacks the tensor image_newline"):
        load_llava_next(str(copied))


def test_features_without_frames_are_refused(ours: VisionLanguageModel) -> None:
    """A picture's size is not in its tokens."""
    features = ours.encode([picture_of(A, at_least=ours.encoder.fit.at_least)])
    with pytest.raises(InputError, match="a picture's size is not known"):
        ours.extents(replace(features, frames=()))
    fit = ours.encoder.fit
    ours.encoder.fit = Crop(size=32)
    try:
        # a Fit without tiles: an overview alone, and one end
        assert ours.extents(ours.encode([picture_of(A, at_least=fit.at_least)]))[0].tokens == 17
    finally:
        ours.encoder.fit = fit
    cut = replace(features, mask=features.mask & (torch.arange(features.mask.shape[1]) < 20))
    with pytest.raises(InputError, match="a picture has 20 tokens: an overview and 2 x 2 tiles of 4 x 4"):
        ours.connect(cut)


def test_only_its_own_shape_can_be_written(ours: VisionLanguageModel, tmp_path: Path) -> None:
    parts = (ours.encoder, models.connector(), ours.language_model, ours.tokenizer, Vicuna())
    with pytest.raises(InputError, match="its connector does not put tiles together"):
        save_llava_next(VisionLanguageModel(*parts), tmp_path / "out")
    assert not (tmp_path / "out").exists()
