"""Single operations against torch's counter, and what is fused against what is not."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.latency.operations import attention, causal, convolution, everyone, linear, norm, rotate, windows
from isthmus.latency.precisions import INT4, NAMES, precision
from isthmus.latency.work import BF16
from tests.latency.counted import META, count

SIZE = st.integers(1, 64)


@given(SIZE, SIZE, SIZE)
def test_a_map(rows: int, width_in: int, width_out: int) -> None:
    each = linear("map", rows, width_in, width_out, BF16)
    x, w = torch.empty(rows, width_in, device=META), torch.empty(width_out, width_in, device=META)
    assert each.flops == count(lambda: F.linear(x, w))
    assert each.weight_bytes == 2 * w.numel()
    assert each.activation_bytes == 2 * (x.numel() + rows * width_out)


@given(SIZE, SIZE, st.sampled_from([(8, 8), (8, 2), (6, 1)]))
def test_attention(batch: int, tokens: int, heads: tuple[int, int]) -> None:
    q, k = (torch.empty(batch, n, tokens, 16, device=META) for n in heads)
    each = attention("attention", everyone(batch, tokens), *heads, 16, BF16)
    assert each.flops == count(lambda: F.scaled_dot_product_attention(q, k, k, enable_gqa=True))
    assert each.activation_bytes == 2 * 2 * (q.numel() + k.numel())


@given(st.integers(1, 3), st.integers(1, 2), st.sampled_from([1, 3, 5]), st.booleans())
def test_a_convolution(batch: int, stride: int, kernel: int, by_channel: bool) -> None:
    groups = 8 if by_channel else 1
    x = torch.empty(batch, 8, 20, 20, device=META)
    w = torch.empty(16, 8 // groups, kernel, kernel, device=META)
    y = F.conv2d(x, w, stride=stride, padding=kernel // 2, groups=groups)
    after = y.numel() // 16
    each = convolution("conv", batch * 400, after, 8, 16, kernel, BF16, groups=groups)
    assert each.flops == count(lambda: F.conv2d(x, w, stride=stride, padding=kernel // 2, groups=groups))
    assert each.weight_bytes == 2 * w.numel()
    assert each.activation_bytes == 2 * (x.numel() + y.numel())


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_windows_see_less_than_everyone(sizes: list[int]) -> None:
    parted, whole = windows(1, sizes), everyone(1, sum(sizes))
    assert parted.queries == whole.queries
    assert parted.pairs <= whole.pairs
    assert (parted.pairs == whole.pairs) == (len(sizes) == 1)


@given(st.integers(1, 3), SIZE, SIZE)
def test_a_prompt_in_two_parts_sees_what_it_saw_in_one(batch: int, first: int, then: int) -> None:
    whole = causal(batch, first + then, skip=True)
    parts = causal(batch, first, skip=True), causal(batch, then, first, skip=True)
    assert whole.pairs == pytest.approx(sum(each.pairs for each in parts))


def test_scores_that_go_through_memory_are_24_bytes_each() -> None:
    eager = replace(BF16, fused_attention=False)
    fused, unfused = (attention("attention", causal(1, 676), 32, 32, 128, how) for how in (BF16, eager))
    assert unfused.flops == fused.flops
    assert unfused.activation_bytes - fused.activation_bytes == 676**2 * 32 * 24


@pytest.mark.parametrize("make", [lambda how: norm("n", 7, 64, how, rms=True), lambda how: rotate("r", 7, 64, how)])
def test_what_is_not_fused_moves_and_starts_more(make) -> None:  # type: ignore[no-untyped-def]
    fused, unfused = make(BF16), make(replace(BF16, fused_elementwise=False))
    assert unfused.activation_bytes > fused.activation_bytes
    assert unfused.launches > fused.launches


@pytest.mark.parametrize(
    ("name", "weight", "entering", "math"),
    [
        ("fp32", 4, 4, "fp32"), ("tf32", 4, 4, "tf32"), ("bf16", 2, 2, "bf16"), ("int8", 1, 2, "fp16"),
        ("int4", INT4, 2, "fp16"), ("w8a8", 1, 1, "int8"), ("fp8", 1, 1, "fp8"),
    ],
)  # fmt: skip
def test_numbers(name: str, weight: float, entering: float, math: str) -> None:
    found = precision(name, "fp16")
    assert (found.matrices.weight, found.matrices.entering, found.matrices.math) == (weight, entering, math)
    assert found.plain.weight == (4 if "32" in name else 2)
    assert name in NAMES


def test_another_name_is_refused() -> None:
    with pytest.raises(InputError, match="no dtype 'int5'"):
        precision("int5")
