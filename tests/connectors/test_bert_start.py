"""A Q-Former started from a BERT: its text side is that BERT, its query side a copy, the rest fresh."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from isthmus.checkpoints import resolve
from isthmus.connectors import Stage1, qformer_from_bert, start_word_head
from isthmus.errors import CorruptPart, InputError

from . import reference
from .samples import WIDTH_IN, WORDS, features, largest, texts

LIMIT = 1e-5


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    model = reference.bert()
    return model, reference.saved(model, tmp_path_factory.mktemp("bert"))


def start(checkpoint, **options):
    torch.manual_seed(5)
    return qformer_from_bert(checkpoint, width_in=WIDTH_IN, width_out=7, queries=5, **options).eval()


@pytest.mark.parametrize("layers", [None, (0, 2)])
@torch.no_grad()
def test_a_text_alone_comes_out_as_from_bert_itself(bert, layers):
    model, checkpoint = bert
    text = texts(3, 7, words=WORDS - 1)
    ours = start(checkpoint, layers=layers).qformer(None, text).text
    if layers is not None:
        kept = model.bert.encoder.layer
        model.bert.encoder.layer = torch.nn.ModuleList(kept[i] for i in layers)
    theirs = model.bert(text.ids, attention_mask=text.mask.long()).last_hidden_state
    if layers is not None:
        model.bert.encoder.layer = kept
    assert largest(ours[text.mask], theirs[text.mask]) <= LIMIT


def test_queries_start_with_the_texts_feed_forward_and_fresh_cross_attention(bert):
    _, checkpoint = bert
    connector = start(checkpoint, layers=(3, 1, 0))
    assert connector.config.layers == 3
    stored = checkpoint.tensors("bert.encoder.layer.")
    for block, theirs in zip(connector.qformer.blocks, (3, 1, 0), strict=True):
        for mine, text in zip(block.ffn_queries.parameters(), block.ffn_text.parameters(), strict=True):
            assert torch.equal(mine, text) and mine is not text
        assert torch.equal(block.ffn_text.up.weight, stored[f"{theirs}.intermediate.dense.weight"])
    first, none, third = (block.cross for block in connector.qformer.blocks)
    assert none is None
    assert 0.01 < first.kv.weight.std() < 0.03 and not first.kv.bias.any()
    assert not torch.equal(first.kv.weight, third.kv.weight)
    assert connector(features(4, 2), texts(3, 5)).tokens.isfinite().all()


def test_new_words_stand_behind_berts(bert):
    model, checkpoint = bert
    words = start(checkpoint, new_words=2).qformer.words.weight
    theirs = model.bert.embeddings.word_embeddings.weight
    assert len(words) == len(theirs) + 2
    assert torch.equal(words[:-2], theirs)
    assert 0.005 < words[-2:].std() < 0.05


def test_the_seed_decides_what_is_fresh_and_freezing_holds(bert):
    _, checkpoint = bert
    one, two = start(checkpoint), start(checkpoint)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not any(p.requires_grad for p in start(checkpoint, trainable=False).parameters())


def test_bert_bases_old_names_of_norms_are_read(bert, tmp_path):
    _, checkpoint = bert
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = {}
    for key, value in checkpoint.tensors().items():
        for new, before in old.items():
            key = key.replace(new, before)
        tensors[key] = value.clone()
    assert any("gamma" in key for key in tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(checkpoint.config))
    older = replace(checkpoint, folder=tmp_path)
    made, again = start(checkpoint), start(older)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), again.parameters(), strict=True))
    heads = [Stage1(each.qformer, 6, start_token=WORDS - 1).itg_head for each in (made, again)]
    for head, source in zip(heads, (checkpoint, older), strict=True):
        start_word_head(head, source)
    assert all(torch.equal(a, b) for a, b in zip(heads[0].parameters(), heads[1].parameters(), strict=True))


@torch.no_grad()
def test_itgs_head_starts_as_berts_masked_language_model(bert):
    model, checkpoint = bert
    connector = start(checkpoint)
    head = Stage1(connector.qformer, 6, start_token=WORDS - 1).itg_head
    start_word_head(head, checkpoint)
    text = texts(3, 7, words=WORDS - 1)
    logits = head(connector.qformer(None, text).text, connector.qformer.words.weight)
    theirs = model(text.ids, attention_mask=text.mask.long()).logits
    assert largest(logits[text.mask][:, : WORDS - 1], theirs[text.mask]) <= LIMIT


def test_what_cannot_be_taken_is_named(bert, tmp_path):
    model, checkpoint = bert
    with pytest.raises(InputError, match="has no layers"):
        start(checkpoint, layers=(0, 4))
    with pytest.raises(CorruptPart, match="no single embeddings"):
        start(reference.saved(reference.blip2().language_model, tmp_path))
    alone = reference.saved(model.bert, tmp_path / "alone")
    head = Stage1(start(alone).qformer, 6, start_token=0).itg_head
    with pytest.raises(CorruptPart, match=r"no single cls\.predictions\.bias"):
        start_word_head(head, alone)


@torch.no_grad()
def test_the_default_qformer_starts_from_minilm():
    from transformers import BertModel

    checkpoint = resolve("default/minilm")
    ours = qformer_from_bert(checkpoint, width_in=1280, width_out=576, queries=8, layers=(0, 2, 4)).eval()
    assert (ours.config.width, ours.config.heads, ours.config.vocabulary) == (384, 12, 30523)
    theirs = BertModel.from_pretrained(checkpoint.folder).eval()
    theirs.encoder.layer = torch.nn.ModuleList(theirs.encoder.layer[i] for i in (0, 2, 4))
    text = texts(5, 11, words=30000)
    expected = theirs(text.ids, attention_mask=text.mask.long()).last_hidden_state
    assert largest(ours.qformer(None, text).text[text.mask], expected[text.mask]) <= LIMIT
    assert ours(features(49, width=1280)).tokens.shape == (1, 8, 576)
