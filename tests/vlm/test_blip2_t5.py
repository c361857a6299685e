"""BLIP-2 and InstructBLIP with FLAN-T5: the encoder reads, the decoder writes, as in `transformers`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers.models import Unigram
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    T5Config,
    T5Tokenizer,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from isthmus.errors import InputError
from isthmus.messages import Message, assistant, user
from isthmus.options import Options
from isthmus.vlm.blip2 import load_blip2, load_instructblip, save_blip2
from isthmus.vlm.blip_templates import Blip2T5
from isthmus.vlm.seq2seq import Seq2SeqModel
from isthmus.vlm.template import Blip2

from . import models
from .parity import TOLERANCE
from .test_blip2 import PROCESSOR, QFORMER, QUERIES, VISION
from .test_instructblip import bert

A, B = models.picture(1), models.picture(2, 30, 60)


@cache
def _words() -> list[tuple[str, float]]:
    backend = Tokenizer(Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    special = ["<pad>", "</s>", "<unk>"]
    backend.train_from_iterator(
        models.CORPUS,
        trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    return [(word, score) for word, score in json.loads(backend.to_str())["model"]["vocab"]]


def tokenizer() -> Any:
    made = T5Tokenizer(vocab=[*_words(), *((f"<extra_id_{i}>", 0.0) for i in range(9, -1, -1))], extra_ids=10)
    made.add_tokens(["<image>"], special_tokens=True)
    return made


def t5(**changes: Any) -> T5Config:
    sizes = {
        "d_model": 48, "d_kv": 12, "d_ff": 64, "num_layers": 2, "num_heads": 4,
        "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0, "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 20, "tie_word_embeddings": False,
    }  # fmt: skip
    return T5Config(vocab_size=len(tokenizer()) + 5, **{**sizes, **changes})


def disturbed(model: Any) -> Any:
    """Head and embeddings apart, as FLAN-T5 has them, unless the config shares them."""
    language = model.language_model
    if not language.config.scale_decoder_outputs:
        language.lm_head.weight = torch.nn.Parameter(torch.empty_like(language.lm_head.weight))
    return models.disturbed(model, 5)


def reference(dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    config = Blip2Config(
        vision_config=VISION, qformer_config=QFORMER, text_config=t5(**changes).to_dict() | changes,
        num_query_tokens=QUERIES, image_token_index=tokenizer().convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    return disturbed(Blip2ForConditionalGeneration(config)).to(dtype)


def save(model: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(folder)


@pytest.fixture(scope="module")
def theirs() -> Any:
    return reference()


@pytest.fixture(scope="module")
def folder(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blip2-t5")
    save(theirs, path)
    return path


@pytest.fixture(scope="module")
def ours(folder: Path) -> Seq2SeqModel:
    model = load_blip2(str(folder))
    assert isinstance(model, Seq2SeqModel)
    return model


def inputs(model: Any, messages: list[list[Message]], side: str = "left") -> dict[str, Tensor]:
    """By transformers' own processor, one conversation at a time; it knows one picture, so two stand in front."""
    made = tokenizer()
    made.padding_side = side
    processor = Blip2Processor(BlipImageProcessorPil(size=PROCESSOR["size"]), made, num_query_tokens=QUERIES)
    image = made.convert_tokens_to_ids("<image>")
    ids, pixels = [], []
    for each in messages:
        asked = [message for message in each if message.role == "user" or message is not each[-1]]
        pictures = [part.source for message in asked for part in message.pictures]
        text = "".join(getattr(piece, "text", "") for piece in Blip2T5().pieces(asked, prompt=True))
        one = processor(images=pictures, text=text, return_tensors="pt")
        ids.append([image] * QUERIES * (len(pictures) - 1) + one["input_ids"][0].tolist())
        pixels.append(one["pixel_values"])
    padded = made.pad({"input_ids": ids}, return_tensors="pt")
    return {**padded, "pixel_values": torch.cat(pixels).to(model.dtype)}


ANSWERED = {
    "one picture": [user(A, "what is it?"), assistant("a cat on a table")],
    "two pictures": [user(A, B, "which is the cat?"), assistant("two")],
    "a caption": [user(B), assistant("dogs run along the beach")],
    "two turns": [user(A, "what is it?"), assistant("a cat"), user("and its colour?"), assistant("green")],
}
ASKED = {name: said[:-1] for name, said in ANSWERED.items()}


@torch.no_grad()
def assert_parity(
    ours: Seq2SeqModel, theirs: Any, said: list[list[Message]], side: str = "left", spread: float = 0.5
) -> None:
    """Logits and loss over the answers; logits must differ by `spread`, else everything would be near everything."""
    made = inputs(theirs, said, side)
    answers = [tokenizer()(each[-1].text)["input_ids"] for each in said]
    longest = max(map(len, answers))
    labels = torch.tensor([answer + [-100] * (longest - len(answer)) for answer in answers])
    expected = theirs(**made, labels=labels)
    pictures = [models.opened(part.source) for each in said for message in each for part in message.pictures]
    features = ours.encode(pictures)
    extents = iter(ours.extents(features))
    samples = [ours.sample(each, [next(extents) for m in each for _ in m.pictures]) for each in said]
    out = ours(samples, features)
    assert out.targets.tolist() == [id_ for answer in answers for id_ in answer]
    difference = (out.logits - expected.logits[labels != -100]).abs().max()
    print(f"max |Δ| of logits {difference:.1e}")
    assert difference <= TOLERANCE
    assert out.loss == pytest.approx(expected.loss.item(), abs=1e-5)
    assert out.logits.std() > spread


@pytest.mark.parametrize("name", list(ANSWERED))
def test_logits(ours: Seq2SeqModel, theirs: Any, name: str) -> None:
    assert_parity(ours, theirs, [ANSWERED[name]])


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_a_padded_batch(ours: Seq2SeqModel, theirs: Any, side: str) -> None:
    assert_parity(ours, theirs, list(ANSWERED.values()), side)


@pytest.mark.parametrize("name", list(ASKED))
def test_greedy_text(ours: Seq2SeqModel, theirs: Any, name: str) -> None:
    made = inputs(theirs, [ASKED[name]])
    ids = theirs.generate(**made, max_new_tokens=20, do_sample=False)[0, 1:].tolist()
    answer = ours.answer(ASKED[name], max_tokens=20)
    assert (answer.tokens_in, answer.tokens_out) == (made["input_ids"].shape[1], len(ids))
    assert answer.text == models.shown(ours, ids)


@pytest.mark.parametrize("side", ["left", "right"])
def test_greedy_text_of_a_batch(ours: Seq2SeqModel, theirs: Any, side: Any) -> None:
    made = inputs(theirs, list(ASKED.values()), side)
    ids = theirs.generate(**made, max_new_tokens=20, do_sample=False)[:, 1:].tolist()
    cut = [row[: row.index(1)] if 1 in row else row for row in ids]
    found = [each.text for each in ours.answers(list(ASKED.values()), Options(20), padding=side)]
    assert found == [models.shown(ours, row) for row in cut]
    assert len(set(found)) > 1


def test_a_picture_is_looked_at_once(ours: Seq2SeqModel) -> None:
    talk, looked = ours.conversation(), []
    encode = ours.encoder.encode
    ours.encoder.encode = lambda views: looked.append(len(views)) or encode(views)  # type: ignore[method-assign]
    try:
        for question in ("what is it?", "how many dogs?"):
            answer = talk.ask(A, question, Options(8))
            assert answer.tokens_reused == 0
        assert looked == [1]
    finally:
        del ours.encoder.encode
    assert answer.text == ours.ask(A, "how many dogs?", max_tokens=8).text


def test_only_the_connector_learns(ours: Seq2SeqModel) -> None:
    features = ours.encode([models.opened(A)])
    sample = ours.sample(ANSWERED["one picture"], ours.extents(features))
    ours([sample], features).loss.backward()
    graded = {name.split(".")[0] for name, each in ours.named_parameters() if each.grad is not None}
    assert graded == {"connector"}
    ours.zero_grad()


def test_a_folder_written_is_loaded_by_transformers(ours: Seq2SeqModel, theirs: Any, tmp_path: Path) -> None:
    save_blip2(ours, tmp_path)
    again, report = Blip2ForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    mine, original = again.state_dict(), theirs.state_dict()
    assert mine.keys() == original.keys()
    assert all(torch.equal(mine[key], original[key]) for key in mine)
    assert not again.language_model.config.scale_decoder_outputs
    assert_parity(ours, again, [ANSWERED["two pictures"]])
    read = load_blip2(str(tmp_path))
    assert read.ask(A, "what?", max_tokens=8).text == ours.ask(A, "what?", max_tokens=8).text


def test_a_t5_that_shares_its_head_scales(tmp_path: Path) -> None:
    theirs = reference(tie_word_embeddings=True, feed_forward_proj="relu")
    assert theirs.language_model.config.scale_decoder_outputs
    ours = load_blip2(save(theirs, tmp_path))
    assert ours.language_model.lm_head.weight is ours.language_model.shared.weight
    assert_parity(ours, theirs, [ANSWERED["one picture"]], spread=0.5 * 48**-0.5)  # type: ignore[arg-type]


def test_instructblip(tmp_path: Path) -> None:
    config = InstructBlipConfig(
        vision_config=VISION, qformer_config={**QFORMER, "vocab_size": len(bert())},
        text_config=t5().to_dict() | {"tie_word_embeddings": False}, num_query_tokens=QUERIES,
        image_token_index=tokenizer().convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    theirs = disturbed(InstructBlipForConditionalGeneration(config))
    name = save(theirs, tmp_path)
    bert().save_pretrained(tmp_path / "qformer_tokenizer")
    ours = load_instructblip(name)
    question = "which is the cat?"
    processor = BlipImageProcessorPil(size=PROCESSOR["size"])
    ids = theirs.generate(
        pixel_values=processor([A], return_tensors="pt")["pixel_values"],
        input_ids=torch.tensor([[config.image_token_index] * QUERIES + tokenizer()(question)["input_ids"]]),
        qformer_input_ids=torch.tensor([bert()(question)["input_ids"]]),
        max_new_tokens=20,
        do_sample=False,
    )[0, 1:].tolist()
    answer = ours.ask(A, question, max_tokens=20)
    assert answer.text == models.shown(ours, ids)
    assert answer.tokens_out == len(ids)


def test_halves(tmp_path: Path) -> None:
    half = load_blip2(save(reference(torch.bfloat16), tmp_path))
    assert half.connector.project.weight.dtype == half.language_model.shared.weight.dtype == torch.bfloat16
    assert half.ask(A, "what?", max_tokens=4).tokens_out >= 1


def test_the_answer_comes_last(ours: Seq2SeqModel) -> None:
    """A decoder-only template trains on every answer, and goes on reading behind the first."""
    parts = (ours.encoder, ours.connector, ours.language_model, ours.tokenizer)
    other = Seq2SeqModel(*parts, Blip2(bos=None, end="</s>")).eval()
    features = other.encode([models.opened(A)])
    sample = other.sample(ANSWERED["two turns"], other.extents(features))
    with pytest.raises(InputError, match="sample 0 has something to read behind an answer"):
        other([sample], features)


def test_only_t5(ours: Seq2SeqModel) -> None:
    with pytest.raises(InputError, match="the language model opt cannot be used: it is no T5"):
        Seq2SeqModel(ours.encoder, ours.connector, models.opt(), ours.tokenizer, Blip2T5())
    with pytest.raises(InputError, match="was asked without a picture"):
        ours.answer([user("why?")])
