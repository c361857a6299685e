"""A recipe makes a Q-Former of one's own: it learns to read, goes on exactly, and stage 2 begins as what came out."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Blip2Config,
    Blip2ForImageTextRetrieval,
    LlamaConfig,
    LlamaForCausalLM,
)

from isthmus.checkpoints import resolve
from isthmus.errors import CorruptPart, InputError
from isthmus.training.contrast_recipe import QFormerPolicy, QFormerRecipe, QFormerStage
from isthmus.training.own_recipe import DataEntry
from isthmus.training.pair_plan import plan_pairs
from isthmus.training.policy import Learns, Policy
from isthmus.training.stage1 import Reading
from isthmus.training.stage1_tuning import begun, tune_stage1
from isthmus.training.tune import tune
from isthmus.training.tune_recipe import TuneRecipe, TuneStage
from isthmus.vision.encoder import load_encoder
from isthmus.vlm.load import load_vlm
from isthmus.vlm.qformer_folder import read_qformer
from tests.connectors.reference import QFORMER, QUERIES, VISION
from tests.connectors.samples import disturb
from tests.contrastive import models
from tests.vlm.models import byte_bpe

WORDS = ("a cat on a table", "two dogs run", "a cup of coffee", "a red apple")
COLOURS = ("#c03020", "#3050c0", "#20a040", "#d0c020")
READ = QFormerStage("read", QFormerPolicy(Learns(0.003)), batch=8, steps=14, evaluate=2)


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP to read with, a BERT to begin as, a BLIP-2 for retrieval that is both, and a language model."""
    folder = tmp_path_factory.mktemp("starts")
    models.save("clip", folder / "clip")
    tokenizer = models.bert_tokenizer()
    torch.manual_seed(0)
    sizes = {**models.SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": 24}
    BertForMaskedLM(BertConfig(**sizes)).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    config = Blip2Config(
        vision_config=VISION,
        qformer_config={**QFORMER, "use_qformer_text_input": True, "vocab_size": len(tokenizer) + 1},
        num_query_tokens=QUERIES,
        image_text_hidden_size=6,
    )
    disturb(Blip2ForImageTextRetrieval(config)).save_pretrained(folder / "blip2")
    tokenizer.save_pretrained(folder / "blip2")
    squash = {"image_processor_type": "BlipImageProcessor", "size": {"height": 16, "width": 16}}
    (folder / "blip2" / "preprocessor_config.json").write_text(json.dumps(squash))
    talker = byte_bpe()
    small = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(**small, vocab_size=len(talker))).save_pretrained(folder / "llama")
    talker.save_pretrained(folder / "llama")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("data") / "pairs"
    folder.mkdir()
    for at in range(32):
        shade = Image.new("RGB", (30 + at, 40), COLOURS[at % 4])
        Image.blend(shade, Image.new("RGB", shade.size, "#808080"), at / 100).save(folder / f"{at:02}.png")
        (folder / f"{at:02}.txt").write_text(WORDS[at % 4])
    (folder / "05.txt").unlink()
    with contextlib.chdir(folder.parent):  # what is held out is decided by the path: let it be the same each time
        yield Path("pairs")


def recipe(starts: Path, pairs: Path, **changed) -> QFormerRecipe:
    made = QFormerRecipe(
        "qformer", 0, str(starts / "bert"), {"pairs": DataEntry(str(pairs))}, (READ,), held_out=0.4,
        precision="float32", encoder=str(starts / "clip"), queries=4, dropout=0.0, caption_tokens=12,
        language_model=str(starts / "llama"),
    )  # fmt: skip
    return replace(made, **changed)


@pytest.fixture(scope="module")
def tuned(starts: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("tuned") / "out"
    return tune_stage1(recipe(starts, pairs), out, quiet=True), out


def test_it_learns_and_says_what_is_found_before_and_after(tuned) -> None:
    told, out = tuned
    assert told.stopped is None and told.bad_records == 1
    assert told.after_loss < told.before_loss - 0.3
    config = json.loads((out / "config.json").read_text())
    assert config["measured"]["retrieval"]["after"] == told.after
    assert config["measured"]["held-out loss"]["before"] == told.before_loss
    assert told.after.keys() == {"text to image", "image to text"}
    assert set(config["lineage"]["seal"]) == {"encoder", "qformer"}
    lines = [json.loads(line) for line in (out / "stages" / "read" / "log.jsonl").read_text().splitlines()]
    evaluated = [line["evaluated"] for line in lines if "evaluated" in line]
    assert len(evaluated) == 2 and {"loss", "itc", "itm", "itg", "image to text R@1"} <= evaluated[0].keys()
    assert evaluated[0]["itc"] + evaluated[0]["itm"] + evaluated[0]["itg"] == pytest.approx(
        evaluated[0]["loss"], rel=1e-4
    )
    assert evaluated[-1]["loss"] == pytest.approx(told.after_loss)


def test_words_stay_the_texts_encoders_and_all_else_learns(tuned, starts: Path, pairs: Path) -> None:
    _, out = tuned
    before, _ = begun(recipe(starts, pairs), load_encoder(str(starts / "clip")))
    after, tokenizer = read_qformer(resolve(str(out)))
    assert torch.equal(before.qformer.words.weight, after.qformer.words.weight)
    same = [name for name, p in before.named_parameters() if torch.equal(p, after.get_parameter(name))]
    assert same == ["qformer.words.weight"]
    expected = tokenizer.backend.encode("a cat on a table").ids
    assert expected == models.bert_tokenizer()("a cat on a table")["input_ids"]
    assert tokenizer(["a cat", "two dogs run on the beach"]).mask.sum() > 6


def test_killed_it_goes_on_to_the_same_weights(tuned, starts: Path, pairs: Path, tmp_path: Path, monkeypatch) -> None:
    _, whole = tuned
    out, calls, forward = tmp_path / "out", 0, Reading.forward

    def dying(self, batch, count):
        nonlocal calls
        calls += self.training
        if calls == 9:
            raise KeyboardInterrupt
        return forward(self, batch, count)

    monkeypatch.setattr(Reading, "forward", dying)
    with pytest.raises(KeyboardInterrupt):
        tune_stage1(recipe(starts, pairs), out, quiet=True)
    monkeypatch.undo()
    tune_stage1(recipe(starts, pairs), out, resume=True, quiet=True)
    mine, its = load_file(out / "model.safetensors"), load_file(whole / "model.safetensors")
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in mine)


def test_stage_2_begins_as_it_and_trains_its_query_side(tuned, pairs: Path, tmp_path: Path) -> None:
    _, out = tuned
    model = load_vlm(str(out))
    stored = load_file(out / "model.safetensors")
    assert torch.equal(model.connector.qformer.queries, stored["stage1.qformer.queries"])
    assert torch.equal(model.connector.project.weight, stored["project.weight"])
    assert model.connector.config.vocabulary == 0
    stage = TuneStage("speak", Policy(connector=Learns(0.01)), batch=4, steps=3, evaluate=1)
    data = {"pairs": DataEntry(str(pairs))}
    tuned2 = tune(TuneRecipe("model", 0, str(out), data, (stage,), held_out=0.3), tmp_path / "two", quiet=True)
    assert tuned2.after < tuned2.before
    again = load_vlm(str(tmp_path / "two"))
    assert not torch.equal(again.connector.qformer.queries, model.connector.qformer.queries)
    assert again.ask(Image.new("RGB", (20, 20)), "what?", max_tokens=3).text is not None


def test_without_a_language_model_it_says_so_and_training_can_go_on(starts: Path, pairs: Path, tmp_path: Path) -> None:
    short = (replace(READ, steps=2),)
    tune_stage1(recipe(starts, pairs, language_model=None, stages=short), tmp_path / "one", quiet=True)
    with pytest.raises(InputError, match=r"holds a Q-Former alone.*language_model"):
        load_vlm(str(tmp_path / "one"))
    on = recipe(starts, pairs, start=str(tmp_path / "one"), stages=short, held_out=0.0)
    told = tune_stage1(on, tmp_path / "two", quiet=True)
    assert told.before is None and told.after_loss is None
    assert load_vlm(str(tmp_path / "two")).connector.config.queries == 4


def test_a_blip2_for_retrieval_goes_on_from_its_own_heads(starts: Path, pairs: Path, tmp_path: Path) -> None:
    blip2 = recipe(
        starts, pairs, start=str(starts / "blip2"), encoder=str(starts / "blip2"), stages=(replace(READ, steps=2),)
    )
    stage1, tokenizer = begun(blip2, load_encoder(blip2.encoder))
    stored = load_file(starts / "blip2" / "model.safetensors")
    assert torch.equal(stage1.itm_head.weight, stored["itm_head.weight"])
    assert stage1.start_token == stage1.qformer.config.vocabulary - 1 == len(models.bert_tokenizer())
    assert len(tokenizer.rows(["cat " * 40])[0]) == 12
    told = tune_stage1(blip2, tmp_path / "out", quiet=True)
    assert told.stopped is None
    load_vlm(str(tmp_path / "out"))


def test_what_does_not_fit_is_said(starts: Path, pairs: Path, tuned, tmp_path: Path) -> None:
    _, out = tuned
    with pytest.raises(InputError, match=r"reads pictures that are 32 wide: .* makes them 12 wide"):
        begun(recipe(starts, pairs, start=str(out)), load_encoder(str(starts / "blip2")))
    with pytest.raises(InputError, match="has no layers"):
        begun(recipe(starts, pairs, layers=(0, 7)), load_encoder(str(starts / "clip")))
    config = json.loads((out / "config.json").read_text())
    for part, says in (("encoder", r"clip is not what .* was made for"), ("language_model", r"llama is not what")):
        changed = tmp_path / part
        changed.mkdir()
        for file in out.iterdir():
            if file.is_file():
                (changed / file.name).write_bytes(file.read_bytes())
        other = {**config, part: {**config[part], "fingerprint": "0" * 16}}
        (changed / "config.json").write_text(json.dumps(other))
        with pytest.raises(CorruptPart, match=says):
            load_vlm(str(changed))


def test_held_out_captions_that_are_all_the_same_are_refused(starts: Path, tmp_path: Path) -> None:
    for at in range(12):
        Image.new("RGB", (20, 20 + at)).save(tmp_path / f"{at}.png")
        (tmp_path / f"{at}.txt").write_text("a cat")
    with pytest.raises(InputError, match="what is held out cannot be told apart"):
        tune_stage1(recipe(starts, tmp_path, held_out=0.5), tmp_path / "out", quiet=True)


def test_a_plan_says_what_would_be_done(starts: Path, pairs: Path) -> None:
    found = plan_pairs(recipe(starts, pairs), quiet=True)
    (stage,) = found.stages
    assert (stage.steps, stage.records_a_step) == (14, 8)
    assert stage.frozen.keys() == {"encoder", "qformer"}  # of the Q-Former: its words
    assert found.tokens_most <= 12 and found.cut == 0
    assert "05.png" in str(found) and "one pair, as the model gets it" in str(found)
