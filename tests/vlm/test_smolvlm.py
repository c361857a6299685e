"""SmolVLM and Idefics3: announced tiles and pixel shuffle, equal to `transformers` on the same weights."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

from isthmus.errors import CorruptPart, InputError
from isthmus.messages import Message, assistant, system, user
from isthmus.options import Options
from isthmus.vlm.idefics3 import load_idefics3, save_smolvlm
from isthmus.vlm.idefics3_prompt import FENCE, OVERVIEW, Idefics3
from isthmus.vlm.inspect import inspect
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import ControlPiece, PicturePiece

from . import models
from .parity import TOLERANCE, assert_equal_logits, logits, rewrite, sides

MARKS = (
    FENCE,
    OVERVIEW,
    "<end_of_utterance>",
    *(f"<row_{row}_col_{column}>" for row in (1, 2, 3) for column in (1, 2, 3)),
)
TOKENS = 4
"""Of a tile: 4 x 4 patches, joined 2 x 2."""
PROCESSOR = {
    "image_processor_type": "SmolVLMImageProcessor",
    "size": {"longest_edge": 80},
    "max_image_size": {"longest_edge": 32},
}
# wide, tall, nearly square
A, B, C = (models.picture(i, *size) for i, size in enumerate([(90, 40), (30, 80), (50, 49)], 1))


@cache
def tokenizer(marks: tuple[str, ...] = MARKS) -> Any:
    made = models.byte_bpe(("<image>", *marks))
    made.bos_token = "<|im_start|>"
    return made


def reference(kind: str = "smolvlm", dtype: torch.dtype = torch.float32, tied: bool = False) -> Any:
    """A random SmolVLM or Idefics3 in the true architecture, all parts disturbed."""
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 32,
        "patch_size": 8,
    }  # fmt: skip
    text = LlamaConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer()) + 7, max_position_embeddings=512, bos_token_id=3,
        eos_token_id=tokenizer().convert_tokens_to_ids("<end_of_utterance>"),
    )  # fmt: skip
    config, made = {
        "smolvlm": (SmolVLMConfig, SmolVLMForConditionalGeneration),
        "idefics3": (Idefics3Config, Idefics3ForConditionalGeneration),
    }[kind]
    settings = {"vision_config": vision, "text_config": text.to_dict(), "scale_factor": 2, "pad_token_id": 0}
    image = tokenizer().convert_tokens_to_ids("<image>")
    return models.disturbed(made(config(**settings, image_token_id=image, tie_word_embeddings=tied)), 5).to(dtype)


def save(model: Any, folder: Path, marks: tuple[str, ...] = MARKS, **processor: Any) -> str:
    model.save_pretrained(folder)
    tokenizer(marks).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | processor))
    return str(folder)


theirs, folder, ours, _ = sides("smolvlm", reference, save, load_idefics3)


def spelled(messages: list[Message], pictures: list[str]) -> str:
    """The text by the published chat template, written out by hand."""
    out, shown = "<|im_start|>", iter(pictures)
    for message in messages:
        parts = [next(shown) if part in message.pictures else part.text for part in message.content]
        colon = ":" if message.content[0] in message.pictures else ": "
        out += message.role.capitalize() + colon + "".join(parts) + "<end_of_utterance>\n"
    return out + ("Assistant:" if messages[-1].role == "user" else "")


def inputs(messages: list[list[Message]], side: str = "left", marks: tuple[str, ...] = MARKS) -> dict[str, Tensor]:
    """By transformers' own picture processor and its own announcement of tiles."""
    sources = [[part.source for message in each for part in message.pictures] for each in messages]
    pictured = SmolVLMImageProcessorPil(size=PROCESSOR["size"], max_image_size=PROCESSOR["max_image_size"])
    seen = pictured(sources, return_tensors="pt", return_row_col_info=True) if any(sources) else None
    texts = []
    for at, each in enumerate(messages):
        grids = zip(seen["rows"][at], seen["cols"][at], strict=True) if seen else ()
        texts.append(
            spelled(each, [get_image_prompt_string(*grid, TOKENS, FENCE, "<image>", OVERVIEW) for grid in grids])
        )
    made = tokenizer(marks)
    made.padding_side = side
    encoded = made(texts, return_tensors="pt", padding=True)
    out = {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}
    return out | ({"pixel_values": seen["pixel_values"]} if seen else {})


def assert_parity(ours: VisionLanguageModel, theirs: Any, messages: list[list[Message]], side: Any = "left") -> None:
    made = inputs(messages, side)
    assert_equal_logits(ours, theirs, made, messages, side)


CONVERSATIONS = {
    "wide": [[user(A, "what is it?")]],
    "tall": [[user(B, "what is it?")]],
    "nearly square": [[user("what is in ", C, "?")]],
    "two pictures": [[user(A, B, "which is the cat?")]],
    "two turns": [[system("Be brief."), user(B, "what is it?"), assistant("a cat"), user("and ", C, "here?")]],
    "text alone": [[user("why?")]],
}


@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_logits(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    assert_parity(ours, theirs, CONVERSATIONS[name])


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_a_padded_batch(ours: VisionLanguageModel, theirs: Any, side: str) -> None:
    assert_parity(ours, theirs, [CONVERSATIONS[name][0] for name in list(CONVERSATIONS)[:5]], side)


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
    together = ours.answers(asked, Options(8))
    assert [each.text for each in together] == [ours.answer(each, max_tokens=8).text for each in asked]


def test_the_second_question_reads_the_picture_once(ours: VisionLanguageModel) -> None:
    talk = ours.conversation()
    talk.ask(A, "what is it?", Options(4))
    again = talk.ask(A, "how many dogs?", Options(8))
    assert again.tokens_reused > 7 * TOKENS, "six tiles and the overview"
    assert again.text == ours.ask(A, "how many dogs?", max_tokens=8).text


def test_labels_are_the_answers(ours: VisionLanguageModel) -> None:
    rows = inspect(ours, [user(C, "what?"), assistant("a cat"), user("sure?"), assistant("yes")]).rows
    assert "".join(row.text for row in rows if row.label) == " a cat<end_of_utterance> yes<end_of_utterance>"


def test_regions_are_of_the_tiles(ours: VisionLanguageModel) -> None:
    """Two rows of three tiles, each of 2 x 2 tokens; the overview last."""
    regions = [row.region for row in inspect(ours, [user(A, "?"), assistant("a")]).rows if row.picture == 0]
    assert len(regions) == 7 * TOKENS
    assert regions[0] == pytest.approx((0, 0, 15, 10))
    assert regions[3] == pytest.approx((15, 10, 30, 20))
    assert regions[TOKENS] == pytest.approx((30, 0, 45, 10))
    assert regions[6 * TOKENS - 1] == pytest.approx((75, 30, 90, 40))
    assert regions[-1] == pytest.approx((45, 20, 90, 40))


def test_typed_marks_are_text(ours: VisionLanguageModel) -> None:
    """A question about <row_1_col_1> announces no tile."""
    rows = inspect(ours, [user("what is <row_1_col_1> or <image>?"), assistant("text")]).rows
    special = {tokenizer().convert_tokens_to_ids(mark) for mark in ("<row_1_col_1>", "<image>")}
    assert not special & {row.id for row in rows}


def test_marks_without_a_token_are_written_out(tmp_path: Path) -> None:
    """Idefics3-8B: only the fence and the end are tokens of its tokenizer."""
    marks = (FENCE, "<end_of_utterance>")
    theirs = reference("idefics3")
    image = tokenizer(marks).convert_tokens_to_ids("<image>")
    theirs.config.image_token_id = theirs.model.image_token_id = image
    ours = load_idefics3(save(theirs, tmp_path, marks))
    messages = CONVERSATIONS["wide"]
    made = inputs(messages, marks=marks)
    with torch.no_grad():
        expected = theirs(**made).logits
    assert (logits(ours, messages) - expected).abs().max() <= TOLERANCE


def test_idefics3(tmp_path: Path) -> None:
    theirs = reference("idefics3")
    ours = load_idefics3(save(theirs, tmp_path, image_processor_type="Idefics3ImageProcessor"))
    assert_parity(ours, theirs, CONVERSATIONS["two turns"])


def test_tied_embeddings_and_halves(tmp_path: Path) -> None:
    theirs = reference(tied=True)
    ours = load_idefics3(save(theirs, tmp_path / "tied"))
    assert ours.language_model.lm_head.weight is ours.language_model.model.embed_tokens.weight
    assert_parity(ours, theirs, CONVERSATIONS["wide"])
    save_smolvlm(ours, tmp_path / "out")
    assert_parity(ours, SmolVLMForConditionalGeneration.from_pretrained(tmp_path / "out"), CONVERSATIONS["wide"])
    half = load_idefics3(save(reference(dtype=torch.bfloat16), tmp_path / "half"))
    assert {each.dtype for each in half.parameters()} == {torch.bfloat16}
    assert half.ask(A, "what?", max_tokens=4).tokens_out >= 1


def test_a_folder_written_is_loaded_by_transformers(ours: VisionLanguageModel, theirs: Any, tmp_path: Path) -> None:
    save_smolvlm(ours, tmp_path)
    again, report = SmolVLMForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    mine, original = again.state_dict(), theirs.state_dict()
    assert mine.keys() == original.keys()
    assert all(torch.equal(mine[key], original[key]) for key in mine)
    assert_parity(ours, again, CONVERSATIONS["two pictures"])
    read = load_idefics3(str(tmp_path))
    assert read.encoder.fit == ours.encoder.fit
    assert read.ask(A, "what?", max_tokens=8).text == ours.ask(A, "what?", max_tokens=8).text
    prepared = SmolVLMImageProcessorPil.from_pretrained(tmp_path)(A, return_tensors="pt")["pixel_values"][0]
    views = torch.stack([torch.from_numpy(view.pixels) for view in read.encoder.fit(models.opened(A)).views])
    assert (prepared - views).abs().max() <= 1e-5


def test_what_cannot_be_read_or_written_is_said(ours: VisionLanguageModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no Idefics3 or SmolVLM: its model_type is llama"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
        load_idefics3(str(tmp_path))
    name = save(reference(), tmp_path / "other", max_image_size={"longest_edge": 64})
    with pytest.raises(InputError, match="does not read tiles as Idefics3 does"):
        load_idefics3(name)
    name = save(reference(), tmp_path / "lost")
    rewrite(Path(name), lambda old: {key: each for key, each in old.items() if "modality_projection" not in key})
    with pytest.raises(CorruptPart, match=r"lacks the tensor model\.connector\.modality_projection\.proj\.weight"):
        load_idefics3(name)
    parts = (ours.encoder, models.connector(), ours.language_model, ours.tokenizer, Idefics3())
    with pytest.raises(InputError, match="its connector is no pixel shuffle with one map"):
        save_smolvlm(VisionLanguageModel(*parts), tmp_path / "out")
    parts = (ours.encoder, ours.connector, ours.language_model, ours.tokenizer, Idefics3())
    with pytest.raises(InputError, match="its tiles are not announced"):
        save_smolvlm(VisionLanguageModel(*parts), tmp_path / "out")


def test_pieces_of_the_template() -> None:
    pieces = Idefics3().pieces([user(A, "what?")], prompt=True)
    assert isinstance(pieces[0], ControlPiece)
    assert isinstance(pieces[3], PicturePiece)
    assert "".join(getattr(piece, "text", "") for piece in pieces) == "User:what?\nAssistant:"
