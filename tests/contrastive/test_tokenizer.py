"""Token ids are those of `transformers`' tokenizers (SentencePiece's for SigLIP), padded and cut as each family was
trained."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.checkpoints import Checkpoint
from isthmus.contrastive.tokenizer import load_tokenizer
from isthmus.errors import CorruptPart, MissingPart

from . import models
from .models import TEXTS

SIGLIP = Path(__file__).parent / "siglip_tokenizer"
FAMILIES = {
    "clip": (models.clip_tokenizer, 77, {}),
    "siglip2": (models.gemma_tokenizer, 64, {"fixed": True, "cleaning": "lower"}),
    "bert": (models.bert_tokenizer, 64, {}),
    "xlmr": (models.xlmr_tokenizer, 64, {}),
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Theirs and ours, by family."""
    made = {}
    for family, (make, length, choices) in FAMILIES.items():
        folder = tmp_path_factory.mktemp(family)
        make().save_pretrained(folder)
        made[family] = (make(), load_tokenizer(checkpoint(folder), max_tokens=length, **choices))
    return made


def checkpoint(folder):
    return Checkpoint(name=str(folder), folder=Path(folder), origin="folder")


def theirs(family, tokenizer, texts):
    return tokenizer(
        texts,
        padding="max_length" if family == "siglip2" else True,
        truncation=True,
        max_length=FAMILIES[family][1],
        return_tensors="pt",
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_and_mask_are_those_of_transformers(pairs, family):
    tokenizer, ours = pairs[family]
    want, found = theirs(family, tokenizer, TEXTS), ours(TEXTS)
    assert torch.equal(found.ids, want["input_ids"])
    assert torch.equal(found.mask, want["attention_mask"].bool())


@pytest.mark.parametrize("family", FAMILIES)
@given(text=st.text(max_size=40))
@settings(max_examples=30)
def test_any_text_gives_the_same_ids(pairs, family, text):
    tokenizer, ours = pairs[family]
    assert ours([text]).ids.tolist() == theirs(family, tokenizer, [text])["input_ids"].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cut_text_keeps_its_closing_token(pairs, family):
    tokenizer, ours = pairs[family]
    (row,) = ours.rows(["cat " * 200])
    end = tokenizer.sep_token_id if family == "bert" else tokenizer.eos_token_id
    assert (len(row), row[-1]) == (FAMILIES[family][1], end)


def test_siglip_pads_to_its_length_and_the_others_to_the_longest(pairs):
    for family, (_, ours) in pairs.items():
        width = ours(["a cat", "a cup of coffee"]).ids.shape[1]
        assert (width == 64) if family == "siglip2" else (width < 30)
        assert ours([]).ids.shape == (0, 64 if family == "siglip2" else 0)


def test_minilms_real_vocabulary_from_vocab_txt_alone_gives_the_ids_of_its_tokenizer_json(minilm, tmp_path):
    """What Chinese-CLIP ships: no tokenizer.json."""
    shutil.copy(minilm.folder / "vocab.txt", tmp_path)
    whole, bare = (load_tokenizer(part, max_tokens=128) for part in (minilm, checkpoint(tmp_path)))
    from transformers import BertTokenizer

    theirs = BertTokenizer.from_pretrained(str(minilm.folder))
    texts = [*TEXTS, "[SEP] in the [MASK] text", "a photo of 北京 and København, £5"]
    assert whole.rows(texts) == bare.rows(texts) == theirs(texts, truncation=True, max_length=128)["input_ids"]


def test_case_is_kept_where_the_checkpoint_says_so(minilm, tmp_path):
    shutil.copy(minilm.folder / "vocab.txt", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    kept = load_tokenizer(checkpoint(tmp_path), max_tokens=16)
    assert kept.rows(["Cat"]) != kept.rows(["cat"])


def test_clips_two_files_give_the_ids_of_its_tokenizer_json(pairs, tmp_path):
    tokenizer, whole = pairs["clip"]
    backend = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(backend["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in backend["merges"]]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    assert load_tokenizer(checkpoint(tmp_path), max_tokens=77).rows(TEXTS) == whole.rows(TEXTS)


def siglip(folder=SIGLIP):
    return load_tokenizer(checkpoint(folder), max_tokens=64, fixed=True, cleaning="canonical")


def test_siglips_ids_are_sentencepieces():
    """Expected ids were written by SentencePiece 0.2.3 over texts in the canonical form of the SigLIP release."""
    rows = json.loads((SIGLIP / "expected.json").read_text(encoding="utf-8"))
    assert siglip().rows([row["text"] for row in rows]) == [row["sentencepiece"] for row in rows]
    # transformers gives leading white space a piece of its own; the release strips it first, and so do we.
    differ = [row["text"] for row in rows if row["transformers"] != row["sentencepiece"]]
    assert differ == ["  two   dogs\n\trunning ", "\u200bzero\u200dwidth\x00nul"]


def test_siglip_does_not_see_case_punctuation_or_spacing():
    tokenizer = siglip()
    assert tokenizer.rows([" A  cat, on (the) TABLE! "]) == tokenizer.rows(["a cat on the table"])
    assert tokenizer.padding == 1


@pytest.mark.parametrize("cut", [1, 100, 2000])
def test_a_damaged_siglip_vocabulary_is_told_in_a_line(tmp_path, cut):
    data = (SIGLIP / "spiece.model").read_bytes()
    (tmp_path / "spiece.model").write_bytes(data[:cut])
    shutil.copy(SIGLIP / "tokenizer_config.json", tmp_path)
    with pytest.raises(CorruptPart, match="cannot be read"):
        siglip(tmp_path)


def test_a_tokenizer_json_that_leaves_the_closing_token_out_gets_it(pairs, tmp_path):
    _, ours = pairs["siglip2"]
    models.gemma_tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    backend = json.loads(file.read_text(encoding="utf-8"))
    backend["post_processor"] = None
    file.write_text(json.dumps(backend), encoding="utf-8")
    again = load_tokenizer(checkpoint(tmp_path), max_tokens=64, fixed=True, cleaning="lower")
    assert again.rows(TEXTS) == ours.rows(TEXTS)


def test_padding_and_truncation_written_into_a_tokenizer_json_do_not_bind(minilm):
    """all-MiniLM-L6-v2's file pads and cuts to 128; its towers take 256."""
    tokenizer = load_tokenizer(minilm, max_tokens=256)
    assert [len(row) for row in tokenizer.rows(["cat", "cat " * 300])] == [3, 256]


def test_missing_and_damaged_files_are_told_in_a_line(tmp_path):
    with pytest.raises(MissingPart, match=r"none of tokenizer\.json, vocab\.txt"):
        load_tokenizer(checkpoint(tmp_path), max_tokens=8)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CorruptPart, match="cannot be read") as caught:
        load_tokenizer(checkpoint(tmp_path), max_tokens=8)
    assert "\n" not in str(caught.value)
