from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from isthmus.labs.prefill import flop_7b, seconds


def tiny() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4
    )
    return LlamaForCausalLM(config).eval()


def test_flop_of_a_7b_are_two_for_each_weight_and_token_and_little_more() -> None:
    matrices = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert flop_7b(608) > 2 * 608 * matrices
    assert flop_7b(608) < 1.03 * 2 * 608 * matrices
    attention = {n: flop_7b(n) - 2 * n * matrices for n in (1000, 2000)}
    assert attention[2000] / attention[1000] == pytest.approx(4, rel=1e-2)


def test_lengths_take_turns_in_changing_order() -> None:
    seen: list[int] = []

    def forward(inputs_embeds: torch.Tensor, use_cache: bool) -> None:
        assert use_cache
        seen.append(inputs_embeds.shape[1])

    embedding = SimpleNamespace(weight=torch.zeros(3, 8, dtype=torch.bfloat16))
    model = SimpleNamespace(base_model=forward, get_input_embeddings=lambda: embedding)
    found = seconds(model, [1, 2, 3, 4, 5], repeats=4, seed=0)
    assert list(found) == [1, 2, 3, 4, 5]
    rounds = [seen[5 * i : 5 * i + 5] for i in range(5)]  # the first is not counted
    assert all(sorted(each) == [1, 2, 3, 4, 5] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_a_real_model_is_timed() -> None:
    assert all(found > 0 for found in seconds(tiny(), [4, 200], repeats=1, seed=0).values())
