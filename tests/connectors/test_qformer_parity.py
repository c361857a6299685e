"""The Q-Former gives what transformers' does with the same weights, read from their folders, and is written back."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from isthmus.checkpoints import Checkpoint
from isthmus.connectors import (
    QFormerConnector,
    Text,
    export_config,
    export_qformer,
    load_qformer,
    without_text,
)
from isthmus.errors import CorruptPart, InputError

from . import reference
from .samples import WIDTH_IN, features, largest, texts

LIMIT = 1e-5


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """{name: (their model, its folder as a Checkpoint)}"""
    made = {"blip2": reference.blip2(), "instructblip": reference.instructblip(), "retrieval": reference.retrieval()}
    return {name: (model, reference.saved(model, tmp_path_factory.mktemp(name))) for name, model in made.items()}


def theirs_blip2(model, batch):
    out = model.qformer(
        query_embeds=model.query_tokens.expand(len(batch.tokens), -1, -1),
        encoder_hidden_states=batch.tokens,
        encoder_attention_mask=batch.mask.long(),
    )
    return model.language_projection(out.last_hidden_state)


def theirs_instructblip(model, batch, text):
    seen = torch.cat([torch.ones(len(text.ids), reference.QUERIES, dtype=torch.bool), text.mask], dim=1)
    out = model.qformer(
        input_ids=text.ids,
        attention_mask=seen.long(),
        query_embeds=model.query_tokens.expand(len(batch.tokens), -1, -1),
        encoder_hidden_states=batch.tokens,
        encoder_attention_mask=batch.mask.long(),
    )
    return model.language_projection(out.last_hidden_state[:, : reference.QUERIES])


@torch.no_grad()
def test_blip2s_qformer_is_transformers(folders):
    model, checkpoint = folders["blip2"]
    ours = load_qformer(checkpoint).eval()
    batch = features(9, 4, 1)
    assert ours.config.vocabulary == 0
    found = largest(ours(batch).tokens, theirs_blip2(model, batch))
    print(f"BLIP-2, padded batch: {found:.1e}")
    assert found <= LIMIT


@torch.no_grad()
def test_instructblips_qformer_is_transformers_with_a_question(folders):
    model, checkpoint = folders["instructblip"]
    ours = load_qformer(checkpoint).eval()
    batch, question = features(9, 4, 1), texts(3, 7, 1)
    expected = theirs_instructblip(model, batch, question)
    found = largest(ours(batch, question).tokens, expected)
    print(f"InstructBLIP, padded batch and questions: {found:.1e}")
    assert found <= LIMIT
    assert largest(ours(batch).tokens, expected) > 0.1, "the question does not matter"


@pytest.mark.parametrize("name", ["blip2", "instructblip"])
@torch.no_grad()
def test_every_tensor_matters(folders, name):
    """Parity can fail: each tensor of the Q-Former in turn, replaced by other numbers, is seen."""
    _, checkpoint = folders[name]
    ours = load_qformer(checkpoint).eval()
    batch, question = features(9, 4), texts(3, 7) if name == "instructblip" else None
    whole = ours(batch, question).tokens
    for key, parameter in ours.named_parameters():
        if "blocks.2.ffn_text" in key:  # what the last layer writes for text is not read
            continue
        kept = parameter.clone()
        parameter.add_(torch.randn(kept.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
        moved = largest(ours(batch, question).tokens, whole)
        parameter.copy_(kept)
        assert moved > 10 * LIMIT, key


@pytest.mark.parametrize(
    ("name", "family"), [("blip2", "blip-2"), ("instructblip", "instructblip"), ("retrieval", "blip-2")]
)
def test_what_is_exported_has_their_names_and_numbers(folders, name, family):
    model, checkpoint = folders[name]
    ours = load_qformer(checkpoint, width_out=None if name != "retrieval" else 7)
    exported = export_qformer(ours, family)
    if name == "retrieval":
        del exported["language_projection.weight"], exported["language_projection.bias"]
    theirs = model.state_dict()
    own = ("vision_model.", "language_model.", "vision_projection.", "text_projection.", "itm_head.", "lm_head.")
    assert set(exported) == {key for key in theirs if not key.startswith(own)}
    for key, tensor in exported.items():
        assert torch.equal(tensor, theirs[key]), key
    settings = export_config(ours.config, family)
    stored = checkpoint.config["qformer_config"]
    wanted = {key: stored[key] for key in settings if key in stored}
    if not ours.config.vocabulary:
        wanted.pop("max_position_embeddings"), settings.pop("max_position_embeddings")
    assert settings == wanted


def test_half_precision_shards_prefixes_and_omitted_settings_are_read(folders, tmp_path):
    """bf16 weights in two files under another prefix, by a config.json that leaves out what is BLIP-2's default."""
    _, checkpoint = folders["instructblip"]
    tensors = {f"model.{key}": value.to(torch.bfloat16) for key, value in checkpoint.tensors().items()}
    tensors["model.qformer.embeddings.position_ids"] = torch.arange(12)[None]  # a buffer of older saves
    keys = sorted(tensors)
    halves = {"a.safetensors": keys[::2], "b.safetensors": keys[1::2]}
    for file, names in halves.items():
        save_file({key: tensors[key].contiguous() for key in names}, tmp_path / file)
    index = {"weight_map": {key: file for file, names in halves.items() for key in names}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    settings = {"num_attention_heads": 4, "num_hidden_layers": 3}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "instructblip", "qformer_config": settings}))
    again = replace(checkpoint, folder=tmp_path)
    ours, whole = load_qformer(again), load_qformer(checkpoint)
    assert ours.config == whole.config
    for (name, mine), full in zip(ours.named_parameters(), whole.parameters(), strict=True):
        assert mine.dtype == torch.float32 and torch.equal(mine, full.to(torch.bfloat16).float()), name
    assert load_qformer(again, dtype=torch.bfloat16).project.weight.dtype == torch.bfloat16


def test_what_was_loaded_trains_or_does_not(folders):
    _, checkpoint = folders["blip2"]
    assert all(p.requires_grad for p in load_qformer(checkpoint).parameters())
    frozen = load_qformer(checkpoint, trainable=False)
    assert not any(p.requires_grad for p in frozen.parameters()) and not frozen.training
    assert load_qformer(checkpoint).config.dropout == 0.1
    assert load_qformer(checkpoint, dropout=0.0).config.dropout == 0.0


def test_a_fresh_map_leads_to_another_language_model(folders):
    _, checkpoint = folders["retrieval"]
    with pytest.raises(InputError, match="no map to a language model"):
        load_qformer(checkpoint)
    assert load_qformer(checkpoint, width_out=7)(features(4)).tokens.shape == (1, reference.QUERIES, 7)
    other = load_qformer(folders["blip2"][1], width_out=8)
    assert other(features(4)).tokens.shape == (1, reference.QUERIES, 8)


@torch.no_grad()
def test_without_text_what_comes_out_is_the_same_and_the_weights_are_shared(folders):
    _, checkpoint = folders["retrieval"]
    whole = load_qformer(checkpoint, width_out=7).eval()
    less = without_text(whole)
    batch = features(9, 4)
    assert torch.equal(whole(batch).tokens, less(batch).tokens)
    assert less.config.vocabulary == 0 and not less.training
    assert not any("ffn_text" in name or "words" in name for name in less.state_dict())
    whole.qformer.blocks[0].cross.kv.weight.add_(1)
    assert torch.equal(whole(batch).tokens, less(batch).tokens)
    assert all(parameter.requires_grad for parameter in less.parameters())
    assert not any(p.requires_grad for p in without_text(whole.__class__(whole.config, trainable=False)).parameters())


@torch.no_grad()
def test_a_qformer_reads_a_text_alone_and_the_first_places_of_a_longer_one(folders):
    _, checkpoint = folders["retrieval"]
    qformer = load_qformer(checkpoint, width_out=7).eval().qformer
    text = texts(3, 7)
    alone = qformer(None, text)
    assert alone.queries.shape == (2, 0, 16)
    short = qformer(None, Text(text.ids[:1, :3], text.mask[:1, :3]))
    assert largest(alone.text[:1, :3], short.text) <= LIMIT
    with pytest.raises(ValueError, match="a picture, a text, or both"):
        qformer(None)


def damaged(checkpoint, tmp_path, act, settings=None):
    """A copy of a checkpoint with changed tensors or settings."""
    tensors = {key: value.clone() for key, value in load_file(checkpoint.shards[0]).items()}
    act(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(checkpoint.config | (settings or {})))
    return replace(checkpoint, folder=tmp_path)


MISSING = "qformer.encoder.layer.0.crossattention.attention.value.bias"


@pytest.mark.parametrize(
    ("act", "settings", "error", "says"),
    [
        (lambda t: t.pop(MISSING), {}, CorruptPart, f"no tensor {MISSING}"),
        (lambda t: t.update({"qformer.extra": torch.zeros(1)}), {}, CorruptPart, "holds qformer.extra"),
        (lambda t: t.update({MISSING: torch.zeros(3)}), {}, CorruptPart, "kv.bias has shape"),
        (lambda t: t.pop("query_tokens"), {}, CorruptPart, "no single query_tokens"),
        (lambda t: None, {"model_type": "llava"}, InputError, "has no Q-Former: it is a llava"),  # noqa: ARG005
        (lambda t: None, {"qformer_config": {}}, CorruptPart, "3 layers, 16 wide: its config.json"),  # noqa: ARG005
        (
            lambda t: None,  # noqa: ARG005
            {"qformer_config": {**reference.QFORMER, "hidden_act": "relu"}},
            InputError,
            "only gelu",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(folders, tmp_path, act, settings, error, says):
    checkpoint = damaged(folders["blip2"][1], tmp_path, act, settings)
    with pytest.raises(error, match=says) as caught:
        load_qformer(checkpoint)
    assert "\n" not in str(caught.value)


def test_sizes_are_those_of_the_weights(folders):
    ours = load_qformer(folders["instructblip"][1])
    assert isinstance(ours, QFormerConnector)
    assert (ours.config.width_in, ours.config.queries, ours.config.cross_every) == (WIDTH_IN, reference.QUERIES, 2)
    assert [block.cross is not None for block in ours.qformer.blocks] == [True, False, True]


@pytest.mark.full
@torch.no_grad()
def test_blip2s_qformer_in_true_size_is_transformers(tmp_path):
    from transformers import Blip2QFormerConfig
    from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel

    model = Blip2QFormerModel(Blip2QFormerConfig()).eval()
    queries = torch.randn(1, 32, 768, generator=torch.Generator().manual_seed(1)) * 0.02
    tensors = {f"qformer.{key}": value for key, value in model.state_dict().items()}
    fresh = torch.nn.Linear(768, 2560)
    tensors |= {f"language_projection.{key}": value for key, value in fresh.state_dict().items()}
    save_file({**tensors, "query_tokens": queries}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "blip-2"}))
    ours = load_qformer(Checkpoint("true size", tmp_path, "folder")).eval()
    batch = features(257, 100, width=1408)
    theirs = model(
        query_embeds=queries.expand(2, -1, -1),
        encoder_hidden_states=batch.tokens,
        encoder_attention_mask=batch.mask.long(),
    )
    found = largest(ours(batch).tokens, fresh(theirs.last_hidden_state))
    print(f"BLIP-2 in true size: {found:.1e}")
    assert found <= LIMIT
