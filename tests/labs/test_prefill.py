from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from isthmus.labs.prefill import LLAMA_7B, Decoder, seconds


def tiny() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4
    )
    return LlamaForCausalLM(config).eval()


def test_flop_are_two_for_each_weight_and_token() -> None:
    weights = sum(p.numel() for name, p in tiny().model.layers.named_parameters() if "norm" not in name)
    assert Decoder(layers=3, width=16, hidden=40).linear_flop(7) == 2 * 7 * weights


def test_attention_is_quadratic_and_small_for_a_large_model() -> None:
    assert LLAMA_7B.attention_flop(2000) / LLAMA_7B.attention_flop(1000) == pytest.approx(4, rel=1e-2)
    assert LLAMA_7B.attention_flop(608) / LLAMA_7B.flop(608) < 0.03
    assert LLAMA_7B.linear_flop(1) / 2 == pytest.approx(6.48e9, rel=0.01)


def test_cache_is_keys_and_values_of_every_layer() -> None:
    cache = tiny().model(inputs_embeds=torch.randn(1, 5, 16), use_cache=True).past_key_values
    numbers = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert Decoder(layers=3, width=16, hidden=40).cache_bytes(5) == 2 * numbers


def test_lengths_take_turns_in_changing_order() -> None:
    seen: list[int] = []

    def forward(inputs_embeds: torch.Tensor, use_cache: bool) -> None:
        assert use_cache
        seen.append(inputs_embeds.shape[1])

    embedding = SimpleNamespace(weight=torch.zeros(3, 8, dtype=torch.bfloat16))
    model = SimpleNamespace(base_model=forward, get_input_embeddings=lambda: embedding)
    found = seconds(model, [1, 2, 3, 4, 5], repeats=4, seed=0)
    assert list(found) == [1, 2, 3, 4, 5]
    rounds = [seen[1 + 5 * i : 6 + 5 * i] for i in range(4)]  # after a first one that is not counted
    assert all(sorted(each) == [1, 2, 3, 4, 5] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_a_real_model_is_timed() -> None:
    assert all(found > 0 for found in seconds(tiny(), [4, 200], repeats=1, seed=0).values())
