"""What the last layer leaves out changes no answer, for any model type that is listed."""

from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from isthmus.vlm.last_position import MLP, last_position_alone

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "ffn_dim": 48,
    "word_embed_proj_dim": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 64,
    "pad_token_id": 0,
}
LENGTH = 11


def made(kind: str) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES)).eval()


@torch.no_grad()
def read(model: Any, embeds: Tensor, kept: int = 0) -> Tensor:
    """The last position's state; the first `kept` are read before."""
    cache = DynamicCache(config=model.config)
    if kept:
        model.base_model(inputs_embeds=embeds[:, :kept], past_key_values=cache, use_cache=True)
    out = model.base_model(inputs_embeds=embeds[:, kept:], past_key_values=cache, use_cache=True)
    state: Tensor = out.last_hidden_state[:, -1]
    return state


@pytest.mark.parametrize("kept", [0, 4, LENGTH - 1])
@pytest.mark.parametrize("kind", MLP)
def test_the_last_position_is_what_it_was(kind: str, kept: int) -> None:
    model = made(kind)
    embeds = torch.randn(1, LENGTH, 32)
    expected = read(model, embeds, kept)
    rows: list[int] = []
    layer = getattr(model.base_model, "decoder", model.base_model).layers[-1]
    with last_position_alone(model):
        getattr(layer, MLP[kind]).register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[-2]))
        found = read(model, embeds, kept)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert set(rows) == {1}
    assert read(model, embeds, kept).equal(expected)  # and afterwards nothing is left of it


def test_other_threads_read_all_positions() -> None:
    model = made("llama")
    embeds = torch.randn(1, LENGTH, 32)
    with torch.no_grad():
        expected = model.base_model(inputs_embeds=embeds).last_hidden_state
    found: list[Tensor] = []

    def other() -> None:
        with torch.no_grad():
            found.append(model.base_model(inputs_embeds=embeds).last_hidden_state)

    with last_position_alone(model):
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert found[0].equal(expected)


def test_a_model_type_that_is_not_known_reads_as_ever() -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("gpt2", n_embd=32, n_layer=2, n_head=4, vocab_size=64)
    )
    embeds = torch.randn(1, LENGTH, 32)
    model.eval()
    with torch.no_grad():
        expected = model.base_model(inputs_embeds=embeds).last_hidden_state
        with last_position_alone(model):
            assert model.base_model(inputs_embeds=embeds).last_hidden_state.equal(expected)
