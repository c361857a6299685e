"""InstructBLIP with Vicuna: the question is read twice, and equal to `transformers` on the same weights."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import WordPiece
from torch import Tensor
from transformers import (
    AutoTokenizer,
    BertTokenizer,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlamaConfig,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from isthmus.connectors.qformer import without_text
from isthmus.errors import CorruptPart, InputError
from isthmus.messages import Message, assistant, user
from isthmus.options import Options
from isthmus.vlm.blip2 import load_instructblip, save_blip2, save_instructblip
from isthmus.vlm.blip_templates import InstructBlip
from isthmus.vlm.model import VisionLanguageModel

from . import models
from .parity import TOLERANCE, assert_equal_logits, sides
from .test_blip2 import PROCESSOR, QFORMER, QUERIES, VISION

A, B = models.picture(1), models.picture(2, 30, 60)


@cache
def bert() -> Any:
    """BERT's WordPiece, as the Q-Former's tokenizer is."""
    backend = Tokenizer(WordPiece(unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator(
        models.CORPUS, trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False)
    )
    around = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    return BertTokenizer(vocab=backend.get_vocab())


def reference(dtype: torch.dtype = torch.float32) -> Any:
    """A random InstructBLIP in the true architecture, all parts disturbed."""
    tokenizer = models.spm_bpe()
    text = LlamaConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer) + 7, max_position_embeddings=256,
    )  # fmt: skip
    config = InstructBlipConfig(
        vision_config=VISION, qformer_config={**QFORMER, "vocab_size": len(bert())}, text_config=text,
        num_query_tokens=QUERIES, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    return models.disturbed(InstructBlipForConditionalGeneration(config), 5).to(dtype)


def save(model: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    models.spm_bpe().save_pretrained(folder)
    bert().save_pretrained(folder / "qformer_tokenizer")
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(folder)


theirs, folder, ours, _ = sides("instructblip", reference, save, load_instructblip)


def inputs(model: Any, messages: list[list[Message]], side: str = "left") -> dict[str, Tensor]:
    """By transformers' own processor, one conversation at a time; it knows one picture, so two stand in front."""
    made = models.spm_bpe()
    made.padding_side, made.pad_token = side, "<unk>"
    pictured = BlipImageProcessorPil(size=PROCESSOR["size"])
    processor = InstructBlipProcessor(pictured, made, bert(), num_query_tokens=QUERIES)
    image = made.convert_tokens_to_ids("<image>")
    ids, pixels, asked = [], [], []
    for each in messages:
        pictures = [part.source for part in each[0].pictures]
        text = each[0].text
        one = processor(images=pictures, text=text, return_tensors="pt")
        said = [] if len(each) == 1 else made(each[1].text, add_special_tokens=False)["input_ids"] + [made.eos_token_id]
        ids.append([image] * QUERIES * (len(pictures) - 1) + one["input_ids"][0].tolist() + said)
        pixels.append(one["pixel_values"])
        asked += one["qformer_input_ids"].tolist() * len(pictures)
    padded = made.pad({"input_ids": ids}, return_tensors="pt")
    questions = bert().pad({"input_ids": asked}, return_tensors="pt")
    return {
        **padded,
        "pixel_values": torch.cat(pixels).to(model.dtype),
        "qformer_input_ids": questions["input_ids"],
        "qformer_attention_mask": questions["attention_mask"],
    }


def assert_parity(ours: VisionLanguageModel, theirs: Any, messages: list[list[Message]], side: Any = "left") -> None:
    made = inputs(theirs, messages, side)
    assert_equal_logits(ours, theirs, made, messages, side)


CONVERSATIONS = {
    "one picture": [[user(A, "what is it?")]],
    "two pictures": [[user(A, B, "which is the cat, the left or the right?")]],
    "no question": [[user(A)]],
    "an answer": [[user(B, "What is in the picture?"), assistant("a cat")]],
}


@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_logits(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    assert_parity(ours, theirs, CONVERSATIONS[name])


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_a_padded_batch(ours: VisionLanguageModel, theirs: Any, side: str) -> None:
    """Questions of different lengths: the Q-Former's text is padded too."""
    assert_parity(ours, theirs, [each for said in CONVERSATIONS.values() for each in said], side)


@pytest.mark.parametrize("name", ["one picture", "two pictures", "no question"])
def test_greedy_text(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    messages = CONVERSATIONS[name][0]
    made = inputs(theirs, [messages])
    ids = theirs.generate(**made, max_new_tokens=20, do_sample=False, pad_token_id=0)[0, made["input_ids"].shape[1] :]
    answer = ours.answer(messages, max_tokens=20)
    assert (answer.tokens_in, answer.tokens_out) == (made["input_ids"].shape[1], len(ids))
    assert answer.text == models.shown(ours, ids.tolist())


def test_greedy_text_of_a_batch(ours: VisionLanguageModel) -> None:
    asked = [CONVERSATIONS[name][0] for name in ("one picture", "two pictures", "no question")]
    together = ours.answers(asked, Options(12))
    assert [each.text for each in together] == [ours.answer(each, max_tokens=12).text for each in asked]


def test_the_question_changes_the_pictures_tokens(ours: VisionLanguageModel) -> None:
    """So a picture that was asked about before is looked at again, and no answer is of the other question."""
    talk = ours.conversation()
    for question in ("what is it?", "how many dogs?", "what is it?"):
        answer = talk.ask(A, question, Options(12))
        assert answer.text == ours.ask(A, question, max_tokens=12).text
        assert answer.tokens_reused == 0, "the picture stands first, and its tokens are others"
    again = talk.ask(A, "what is it?", Options(12))
    assert again.tokens_reused == again.tokens_in - 1


def test_forward_reads_the_question_of_each_sample(ours: VisionLanguageModel, theirs: Any) -> None:
    """The loss is transformers' own, of two samples with other questions about two pictures and one."""
    said = [[user(A, B, "which is the cat?"), assistant("two dogs")], CONVERSATIONS["an answer"][0]]
    features = ours.encode([models.opened(each) for each in (A, B, B)])
    extents = ours.extents(features)
    samples = [ours.sample(said[0], extents[:2]), ours.sample(said[1], extents[2:])]
    assert [len(sample.questions) for sample in samples] == [2, 1]
    out = ours(samples, features)
    made = inputs(theirs, said, "right")
    labels = torch.full_like(made["input_ids"], -100)
    for row, sample in enumerate(samples):
        labels[row, : len(sample.labels)] = torch.tensor(sample.labels)
    with torch.no_grad():
        expected = theirs(**made).logits[:, :-1][labels[:, 1:] != -100]
    assert (out.logits - expected).abs().max() <= TOLERANCE


def test_the_questions_ids_are_the_tokenizers(ours: VisionLanguageModel) -> None:
    for text in ("What is in the picture?", "l'été à la plage, 猫", ""):
        assert ours.question_tokenizer is not None
        assert list(ours.question_tokenizer([user(A, text)])) == bert()(text)["input_ids"]
    forged = ours.question_tokenizer([user(A, "a [SEP] b")])
    assert forged.count(bert().sep_token_id) == 1


def test_a_folder_written_is_loaded_by_transformers(ours: VisionLanguageModel, theirs: Any, tmp_path: Path) -> None:
    save_instructblip(ours, tmp_path)
    again, report = InstructBlipForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    mine, original = again.state_dict(), theirs.state_dict()
    assert mine.keys() == original.keys()
    assert all(torch.equal(mine[key], original[key]) for key in mine)
    assert_parity(ours, again, CONVERSATIONS["two pictures"])
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "qformer_tokenizer")("a cat")["input_ids"]
        == bert()("a cat")["input_ids"]
    )
    assert (
        load_instructblip(str(tmp_path)).ask(A, "what?", max_tokens=8).text == ours.ask(A, "what?", max_tokens=8).text
    )


def test_what_cannot_be_said_is_refused(ours: VisionLanguageModel) -> None:
    with pytest.raises(InputError, match="was asked without a picture"):
        ours.answer([user("why?")])
    with pytest.raises(InputError, match="was asked more than once"):
        ours.answer([user(A, "why?"), assistant("so"), user("and?")])


def test_a_folder_without_the_questions_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copied / "qformer_tokenizer")
    with pytest.raises(CorruptPart, match="has no tokenizer in qformer_tokenizer"):
        load_instructblip(str(copied))


def test_each_kind_is_written_as_itself(ours: VisionLanguageModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its connector is no Q-Former without a text side"):
        save_blip2(ours, tmp_path / "out")
    parts = (ours.encoder, without_text(ours.connector), ours.language_model, ours.tokenizer)
    silent = VisionLanguageModel(*parts, InstructBlip())
    with pytest.raises(InputError, match="its connector is no Q-Former with a text side"):
        save_instructblip(silent, tmp_path / "out")
    deaf = VisionLanguageModel(ours.encoder, ours.connector, *parts[2:], InstructBlip())
    with pytest.raises(InputError, match="it has no tokenizer for the Q-Former"):
        save_instructblip(deaf, tmp_path / "out")
    assert not (tmp_path / "out").exists()
