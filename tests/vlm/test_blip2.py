"""BLIP-2 with OPT: read from folders and written to them, equal to `transformers` on the same weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer, Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, OPTForCausalLM
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.errors import CorruptPart, InputError
from isthmus.images.open import picture_of
from isthmus.messages import Message, assistant, user
from isthmus.options import Options
from isthmus.vlm.blip2 import load_blip2, save_blip2
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import Blip2

from . import models
from .parity import TOLERANCE, assert_equal_logits, logits, rewrite, sides

QUERIES = 5
VISION = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
QFORMER = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 50,
    "encoder_hidden_size": 32,
}  # fmt: skip
PROCESSOR = {"image_processor_type": "BlipImageProcessor", "size": {"height": 32, "width": 32}}
A, B = models.picture(1), models.picture(2, 30, 60)


def tokenizer(extra: tuple[str, ...] = ("<image>",)) -> Any:
    return models.byte_bpe(extra, opens="</s>")


def reference(image: int | None = 5, dtype: torch.dtype = torch.float32) -> Any:
    """A random BLIP-2 in the true architecture, all parts disturbed. `image`: the id of "<image>"."""
    text = models.opt_config(len(tokenizer()) + 7, eos_token_id=models.byte_bpe().encode("\n")[0])
    config = Blip2Config(
        vision_config=VISION, qformer_config=QFORMER, text_config=text, num_query_tokens=QUERIES,
        image_token_index=image,
    )  # fmt: skip
    return models.disturbed(Blip2ForConditionalGeneration(config), 5).to(dtype)


def save(model: Any, folder: Path, extra: tuple[str, ...] = ("<image>",), **settings: Any) -> str:
    model.save_pretrained(folder, **settings)
    tokenizer(extra).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(folder)


theirs, folder, ours, copied = sides("blip2", reference, save, load_blip2)


def inputs(model: Any, messages: list[list[Message]], side: str = "left") -> dict[str, Tensor]:
    """By transformers' own processor, one conversation at a time; it knows one picture, so two stand in front."""
    made = tokenizer()
    made.padding_side = side
    processor = Blip2Processor(BlipImageProcessorPil(size=PROCESSOR["size"]), made, num_query_tokens=QUERIES)
    image = made.convert_tokens_to_ids("<image>")
    ids, pixels = [], []
    for each in messages:
        pictures = [part.source for message in each for part in message.pictures]
        text = "".join(getattr(piece, "text", "") for piece in Blip2().pieces(each, prompt=each[-1].role == "user"))
        one = processor(images=pictures, text=text, return_tensors="pt")
        ids.append([image] * QUERIES * (len(pictures) - 1) + one["input_ids"][0].tolist())
        pixels.append(one["pixel_values"])
    padded = made.pad({"input_ids": ids}, return_tensors="pt")
    return {**padded, "pixel_values": torch.cat(pixels).to(model.dtype)}


def assert_parity(ours: VisionLanguageModel, theirs: Any, messages: list[list[Message]], side: Any = "left") -> None:
    made = inputs(theirs, messages, side)
    assert_equal_logits(ours, theirs, made, messages, side)


CONVERSATIONS = {
    "one picture": [[user(A, "what is it?")]],
    "two pictures": [[user(A, B, "which is the cat?")]],
    "a caption": [[user(A)]],
    "two turns": [[user(A, "what is it?"), assistant("a cat"), user("and its colour?")]],
    "an answer": [[user(A, "what is it?"), assistant("two dogs run")]],
}


@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_logits(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    assert_parity(ours, theirs, CONVERSATIONS[name])


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_a_padded_batch(ours: VisionLanguageModel, theirs: Any, side: str) -> None:
    assert_parity(ours, theirs, [each for said in CONVERSATIONS.values() for each in said], side)


def generated(theirs: Any, messages: list[Message]) -> tuple[int, list[int]]:
    made = inputs(theirs, [messages])
    ids = theirs.generate(**made, max_new_tokens=20, do_sample=False, pad_token_id=0)[0].tolist()
    read = made["input_ids"].shape[1]
    return read, ids[read:]


@pytest.mark.parametrize("name", ["one picture", "two pictures", "a caption", "two turns"])
def test_greedy_text(ours: VisionLanguageModel, theirs: Any, name: str) -> None:
    messages = CONVERSATIONS[name][0]
    read, ids = generated(theirs, messages)
    answer = ours.answer(messages, max_tokens=20)
    assert (answer.tokens_in, answer.tokens_out) == (read, len(ids))
    assert answer.text == models.shown(ours, ids)
    assert len(ids) > 2


def test_greedy_text_of_a_batch(ours: VisionLanguageModel, theirs: Any) -> None:
    """Padded on the left, as transformers generates."""
    asked = [CONVERSATIONS[name][0] for name in ("one picture", "two pictures", "a caption", "two turns")]
    made = inputs(theirs, asked)
    ids = theirs.generate(**made, max_new_tokens=20, do_sample=False, pad_token_id=0)[:, made["input_ids"].shape[1] :]
    found = [answer.text for answer in ours.answers(asked, Options(20))]
    end = theirs.language_model.generation_config.eos_token_id
    cut = [row[: row.index(end)] if end in row else row for row in ids.tolist()]
    assert found == [models.shown(ours, row) for row in cut]
    assert len(set(found)) == len(found)


def test_a_folder_from_before_image_tokens(theirs: Any, tmp_path: Path) -> None:
    """No "<image>" in the tokenizer, no image_token_index: the pictures' places are the same."""
    plain = reference(image=None)
    ours = load_blip2(save(plain, tmp_path / "old", extra=()))
    assert ours.prompts.control("<image>") is None
    # theirs can no longer place a picture without that index, so it is given one behind all words
    theirs = reference(image=len(tokenizer()) + 6)
    messages = CONVERSATIONS["two pictures"]
    made = tokenizer(())
    text = "".join(getattr(piece, "text", "") for piece in Blip2().pieces(messages[0], prompt=True))
    ids = [theirs.config.image_token_index] * 2 * QUERIES + made(text)["input_ids"]
    processor = BlipImageProcessorPil(size=PROCESSOR["size"])
    pixels = processor([A, B], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([ids]), pixel_values=pixels).logits
    assert (logits(ours, messages) - expected).abs().max() <= TOLERANCE
    save_blip2(ours, tmp_path / "new")
    again = Blip2ForConditionalGeneration.from_pretrained(tmp_path / "new")
    written = AutoTokenizer.from_pretrained(tmp_path / "new")
    assert again.config.image_token_index == written.convert_tokens_to_ids("<image>") == len(made)
    assert ours.prompts.control("<image>") is None, "the model's own tokenizer is as it was"


LEGACY = {
    "_name_or_path": "", "add_cross_attention": False, "bad_words_ids": None, "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": None, "decoder_start_token_id": None, "diversity_penalty": 0.0, "do_sample": False,
    "early_stopping": False, "encoder_no_repeat_ngram_size": 0, "finetuning_task": None, "is_decoder": False,
    "is_encoder_decoder": False, "length_penalty": 1.0, "max_length": 20, "min_length": 0, "num_beams": 1,
    "output_attentions": False, "output_hidden_states": False, "prefix": None, "problem_type": None,
    "pruned_heads": {}, "repetition_penalty": 1.0, "return_dict": True, "sep_token_id": None, "temperature": 1.0,
    "tie_encoder_decoder": False, "top_k": 50, "top_p": 1.0, "torch_dtype": None, "torchscript": False,
    "transformers_version": "4.27.0.dev0", "typical_p": 1.0, "use_bfloat16": False,
}  # fmt: skip
"""What the configs of the first BLIP-2 folders carry in each of their parts."""


def test_a_config_of_2023(ours: VisionLanguageModel, copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    for part in ("vision_config", "qformer_config", "text_config"):
        config[part] |= {key: value for key, value in LEGACY.items() if key not in config[part]}
    config |= {"torch_dtype": "float32", "transformers_version": None, "use_decoder_only_language_model": True}
    (copied / "config.json").write_text(json.dumps(config))
    old, messages = load_blip2(str(copied)), CONVERSATIONS["two pictures"]
    assert torch.equal(logits(old, messages), logits(ours, messages))
    assert old.answer(messages[0], max_tokens=8).text == ours.answer(messages[0], max_tokens=8).text


def test_shards_in_halves(tmp_path: Path) -> None:
    name = save(reference(dtype=torch.bfloat16), tmp_path, max_shard_size="60KB")
    theirs = Blip2ForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert_parity(load_blip2(name, dtype=torch.float32), theirs, CONVERSATIONS["two pictures"])
    half = load_blip2(name)
    assert {each.dtype for each in half.parameters()} == {torch.bfloat16}
    assert half.ask(A, "what?", max_tokens=4).tokens_out >= 1


def test_a_folder_written_is_loaded_by_transformers(ours: VisionLanguageModel, theirs: Any, tmp_path: Path) -> None:
    save_blip2(ours, tmp_path, max_shard_size="60KB")
    again, report = Blip2ForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    mine, original = again.state_dict(), theirs.state_dict()
    assert mine.keys() == original.keys()
    assert all(torch.equal(mine[key], original[key]) for key in mine)
    assert_parity(ours, again, CONVERSATIONS["two pictures"])
    assert (again.config.image_token_index, again.config.num_query_tokens) == (5, QUERIES)
    assert again.language_model.generation_config.eos_token_id == theirs.language_model.generation_config.eos_token_id
    assert json.loads((tmp_path / "processor_config.json").read_text())["num_query_tokens"] == QUERIES


def test_a_folder_written_is_read_back(ours: VisionLanguageModel, folder: Path, tmp_path: Path) -> None:
    save_blip2(ours, tmp_path)
    written = "".join(file.read_text() for file in tmp_path.glob("*.json"))
    assert "_name_or_path" not in written
    assert str(folder) not in written  # where it came from is nobody's business
    again = load_blip2(str(tmp_path))
    assert again.encoder.fit == ours.encoder.fit
    for (name, mine), (_, its) in zip(again.state_dict().items(), ours.state_dict().items(), strict=True):
        assert torch.equal(mine, its), name
    assert again.ask(A, "what?", max_tokens=8).text == ours.ask(A, "what?", max_tokens=8).text


def test_pictures_are_prepared_as_the_processor_does(ours: VisionLanguageModel) -> None:
    processor = BlipImageProcessorPil(size=PROCESSOR["size"])
    for picture in (A, B):
        theirs = processor(picture, return_tensors="pt")["pixel_values"][0]
        view = ours.encoder.fit(picture_of(picture, at_least=ours.encoder.fit.at_least)).views[0]
        assert (torch.from_numpy(view.pixels) - theirs).abs().max() <= 1e-5


def test_each_tensor_shows_in_the_logits(ours: VisionLanguageModel, copied: Path) -> None:
    """With any one parameter of tower or connector lost, parity breaks; so parity proves that none is."""
    before, unseen = logits(ours, CONVERSATIONS["one picture"]), []
    model = load_blip2(str(copied))
    named = [*model.encoder.tower.named_parameters(), *model.connector.named_parameters()]
    for name, parameter in named:
        kept = parameter.detach().clone()
        parameter.data.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        if (logits(model, CONVERSATIONS["one picture"]) - before).abs().max() <= 10 * TOLERANCE:
            unseen.append(name)
        parameter.data.copy_(kept)
    assert not unseen


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("language_projection.bias", "language_projection.bias"),
        ("query_tokens", "query_tokens"),
        ("qformer.encoder.layer.0.crossattention.attention.key.bias", "crossattention.attention.key.bias"),
        ("vision_model.post_layernorm.bias", "lacks the tensor post_layernorm.bias"),
        ("language_model.model.decoder.layers.1.fc1.weight", "has a language model that does not fit its config"),
    ],
)
def test_a_lost_tensor_is_named(copied: Path, lost: str, said: str) -> None:
    assert lost in load_file(copied / "model.safetensors")
    rewrite(copied, lambda tensors: {key: each for key, each in tensors.items() if key != lost})
    with pytest.raises(CorruptPart) as raised:
        load_blip2(str(copied))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_cannot_be_read_is_said(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"model_type": "blip"}))
    with pytest.raises(InputError, match="is no BLIP-2: its model_type is blip"):
        load_blip2(str(copied))
    (copied / "config.json").write_text(json.dumps(config))
    rewrite(copied, lambda tensors: {key: each for key, each in tensors.items() if "language_model" not in key})
    with pytest.raises(CorruptPart, match="holds no language model"):
        load_blip2(str(copied))


def test_only_its_own_shape_can_be_written(ours: VisionLanguageModel, tmp_path: Path) -> None:
    def other(**changes: Any) -> VisionLanguageModel:
        parts = {"encoder": ours.encoder, "connector": ours.connector, "language_model": ours.language_model}
        return VisionLanguageModel(**{**parts, "tokenizer": ours.tokenizer, "template": Blip2(), **changes})

    sizes = {"width": 24, "layers": 1, "heads": 4, "width_ffn": 40, "queries": QUERIES}
    small = OPTForCausalLM(models.opt_config(5))
    for model, said in [
        (other(connector=models.connector()), "its connector is no Q-Former without a text side"),
        (other(connector=QFormerConnector(QFormerConfig(32, 48, vocabulary=9, **sizes))), "without a text side"),
        (other(encoder=models.encoder()), "its encoder is no BLIP-2 tower"),
        (other(language_model=small), "has no <image> within the 5 rows of the embeddings"),
    ]:
        with pytest.raises(InputError, match=said):
            save_blip2(model, tmp_path / "out")
        assert not (tmp_path / "out").exists()
