"""Packed linear layers: the same products, the same parameters, and never a stale copy."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from isthmus.backends.backend import Options, complete
from isthmus.backends.native import NativeBackend
from isthmus.messages import user
from isthmus.vlm import packed
from isthmus.vlm.packed import PackedLinear, pack
from tests.vlm import models

if not torch.backends.mkldnn.is_available():
    pytest.skip("this build of torch has no oneDNN", allow_module_level=True)


def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what is multiplied packed."""
    seen: list[tuple[int, ...]] = []
    real = packed._product
    monkeypatch.setattr(packed, "_product", lambda x, *given: seen.append(tuple(x.shape)) or real(x, *given))
    return seen


@given(
    shape=st.lists(st.integers(0, 5), max_size=3), sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bias=st.booleans(), turned=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_products_are_the_same(shape: list[int], sizes: tuple[int, int], bias: bool, turned: bool, seed: int) -> None:
    torch.manual_seed(seed)
    linear = nn.Linear(*sizes, bias=bias)
    x = torch.randn(*shape, sizes[0])
    if turned and len(shape) > 1:
        x = x.transpose(0, 1)
    with torch.no_grad():
        expected, found = linear(x), PackedLinear(linear)(x)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_only_rows_of_float32_without_gradients_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = products(monkeypatch)
    linear = PackedLinear(nn.Linear(8, 4))
    with torch.no_grad():
        linear(torch.randn(3, 8))
        assert seen == [(3, 8)]
        linear(torch.randn(1, 1, 8))
    linear(torch.randn(3, 8))
    linear.requires_grad_(False)(torch.randn(3, 8, requires_grad=True)).sum().backward()
    half = PackedLinear(nn.Linear(8, 4).bfloat16())
    with torch.no_grad():
        half(torch.randn(3, 8).bfloat16())
    assert seen == [(3, 8)]


def test_torch_compile_sees_a_plain_linear_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = products(monkeypatch)
    linear = PackedLinear(nn.Linear(8, 4))
    x = torch.randn(3, 8)
    compiled = torch.compile(linear, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), F.linear(x, linear.weight, linear.bias))
        assert seen == []
        linear(x)
        assert seen == [(3, 8)]


def test_weights_of_inference_mode_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = products(monkeypatch)
    with torch.inference_mode():
        linear = PackedLinear(nn.Linear(8, 4))
        x = torch.randn(3, 8)
        torch.testing.assert_close(linear(x), F.linear(x, linear.weight, linear.bias))
    assert seen == []


def test_weights_that_change_are_packed_again() -> None:
    linear = PackedLinear(nn.Linear(8, 4))
    x = torch.randn(3, 8)
    with torch.no_grad():
        linear(x)
        linear.weight.mul_(2)
        torch.testing.assert_close(linear(x), F.linear(x, linear.weight, linear.bias))
        linear.load_state_dict(nn.Linear(8, 4).state_dict())
        torch.testing.assert_close(linear(x), F.linear(x, linear.weight, linear.bias))


def test_a_model_keeps_its_parameters_and_can_be_copied() -> None:
    model = models.model()
    names, tied = list(model.state_dict()), model.language_model.get_output_embeddings().weight
    before = [id(each) for each in model.parameters()]
    assert pack(model, model.encoder.net) > 10
    assert pack(model) == 0
    assert list(model.state_dict()) == names
    assert [id(each) for each in model.parameters()] == before
    assert model.language_model.get_output_embeddings().weight is tied
    linear = next(each for each in model.modules() if isinstance(each, PackedLinear))
    x = torch.randn(2, linear.in_features)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(linear)(x), linear(x))


@pytest.mark.parametrize("kind", models.KINDS)
def test_answers_stay_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [user(models.picture(1), "what is it, and how many are there?")]
    plain = complete(NativeBackend(models.model(kind), packed=False), asked, Options(max_tokens=16))
    seen = products(monkeypatch)
    assert complete(NativeBackend(models.model(kind), packed=True), asked, Options(max_tokens=16)) == plain
    assert any(shape[-2] > 30 for shape in seen)  # the prompt
