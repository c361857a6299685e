"""What a config.json leaves out, and what a text tower refuses. Parity of the towers: test_dual_encoder."""

import pytest
import torch
from transformers import BertConfig, ChineseCLIPTextConfig, CLIPTextConfig, Siglip2TextConfig, SiglipTextConfig

from isthmus.contrastive.text import TextConfig, TextTransformer
from isthmus.contrastive.text_checkpoint import bert_text, clip_text, siglip_text
from isthmus.errors import InputError


@pytest.mark.parametrize(
    ("read", "config"),
    [
        (clip_text, CLIPTextConfig),
        (siglip_text, SiglipTextConfig),
        (siglip_text, Siglip2TextConfig),
        (lambda values: bert_text(values, "first"), ChineseCLIPTextConfig),
        (lambda values: bert_text(values, "tanh"), BertConfig),
    ],
)
def test_what_a_config_omits_is_what_transformers_assumes(read, config):
    assert read({}) == read(config().to_dict())


def test_xlmr_counts_positions_from_behind_its_padding():
    config = bert_text({"model_type": "xlm-roberta", "max_position_embeddings": 514}, "tanh")
    assert (config.padding, config.max_tokens) == (1, 512)


def test_old_clip_configs_pool_the_highest_id():
    assert (clip_text({"eos_token_id": 2}).pool, clip_text({}).pool) == ("highest", "eos")


@pytest.mark.parametrize("config", [{"position_embedding_type": "relative_key"}, {"hidden_act": "relu6"}])
def test_other_architectures_are_told_in_a_line(config):
    with pytest.raises(InputError, match="not supported"):
        bert_text(config, "tanh")


def tiny(**changes):
    settings = {
        "vocabulary": 20, "width": 8, "layers": 2, "heads": 2, "hidden": 16, "positions": 10,
        "activation": "gelu", "epsilon": 1e-5, "norm": "pre", "pool": "mean",
    }  # fmt: skip
    torch.manual_seed(0)
    return TextTransformer(TextConfig(**{**settings, **changes})).eval()


def test_a_text_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match="11 tokens, but this text tower takes 10"):
        tiny()(torch.zeros(1, 11, dtype=torch.int64))


@pytest.mark.parametrize("changes", [{}, {"norm": "post", "token_types": 2}, {"norm": "post", "padding": 0}])
@torch.no_grad()
def test_padding_changes_nothing_where_it_is_masked(changes):
    tower = tiny(**changes)
    ids = torch.tensor([[5, 6, 7]])
    alone = tower(ids).pooled
    padded = torch.nn.functional.pad(ids, (0, 4))
    torch.testing.assert_close(tower(padded, padded > 0).pooled, alone, rtol=0, atol=1e-6)
    assert not torch.allclose(tower(padded).pooled, alone, atol=1e-3)


@torch.no_grad()
def test_a_causal_tower_sees_only_what_came_before():
    tower = tiny(causal=True, pool="eos", eos=9)
    first, second = torch.tensor([[5, 6, 9, 1]]), torch.tensor([[5, 6, 9, 2]])
    torch.testing.assert_close(tower(first).pooled, tower(second).pooled, rtol=0, atol=0)
    assert not torch.allclose(tower(first).pooled, tower(torch.tensor([[5, 7, 9, 1]])).pooled, atol=1e-3)


def test_a_fresh_tower_can_be_trained():
    tower = tiny(pool="tanh", norm="post").train()
    tower(torch.tensor([[1, 2, 3]])).pooled.sum().backward()
    assert all(parameter.grad is not None for parameter in tower.parameters())
