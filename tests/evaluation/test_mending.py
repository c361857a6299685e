"""Weights between before and after."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from isthmus.checkpoints import resolve
from isthmus.errors import InputError
from isthmus.evaluation.mending import Point, curve, furthest, interpolate, write_mended
from isthmus.vlm.load import load_vlm
from tests.backends.tiny_native import save_native_llava
from tests.evaluation.changed import change_weights

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def state(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(3, 4, generator=random).to(dtype), "b": torch.randn(5, generator=random).to(dtype)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_ends_are_exact(dtype: torch.dtype) -> None:
    before, after = state(0, dtype), state(1, dtype)
    for alpha, end in ((0.0, before), (1.0, after)):
        assert all(torch.equal(tensor, end[name]) for name, tensor in interpolate(before, after, alpha).items())


@given(st.floats(0, 1), st.sampled_from(DTYPES))
def test_what_both_have_in_common_stays_bit_for_bit(alpha: float, dtype: torch.dtype) -> None:
    before, after = state(0, dtype), state(0, dtype)
    after["a"][0, 0] += 1
    mixed = interpolate(before, after, alpha)
    assert torch.equal(mixed["b"], before["b"])
    same = torch.ones(3, 4, dtype=torch.bool)
    same[0, 0] = False
    assert torch.equal(mixed["a"][same], before["a"][same])


@given(st.floats(0, 1))
def test_in_between_is_between(alpha: float) -> None:
    before, after = state(0), state(1)
    mixed = interpolate(before, after, alpha)
    for name, tensor in mixed.items():
        torch.testing.assert_close(tensor, (1 - alpha) * before[name] + alpha * after[name])
        assert tensor.dtype == before[name].dtype


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ({"a": torch.ones(3, 4)}, "b is missing after"),
        ({**state(1), "lora": torch.ones(1)}, "lora is missing before \\(merge adapters first\\)"),
        ({**state(1), "b": torch.ones(6)}, "b is \\(5,\\) before and \\(6,\\) after"),
        ({**state(1), "b": torch.ones(5, dtype=torch.int64)}, "b holds torch.float32 and differs"),
    ],
)
def test_models_that_do_not_mix(after: dict[str, Tensor], says: str) -> None:
    with pytest.raises(InputError, match=says):
        interpolate(state(0), after, 0.5)


def test_whole_numbers_mix_where_they_are_equal() -> None:
    before = {"ids": torch.arange(4), "a": torch.zeros(2)}
    after = {"ids": torch.arange(4), "a": torch.ones(2)}
    mixed = interpolate(before, after, 0.5)
    assert mixed["ids"].equal(before["ids"])
    assert mixed["a"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_is_from_before_to_after(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha is"):
        interpolate(state(0), state(1), alpha)


def test_the_curve_asks_for_states_when_it_needs_them() -> None:
    asked: list[str] = []

    def give(name: str, seed: int) -> dict[str, Tensor]:
        asked.append(name)
        return state(seed)

    found = curve(
        lambda: give("before", 0), lambda: give("after", 1), lambda mixed: float(mixed["b"][0]), (0.0, 0.5, 1.0)
    )
    assert asked == ["before", "after"] * 3
    ends = float(state(0)["b"][0]), float(state(1)["b"][0])
    assert [point.alpha for point in found] == [0, 0.5, 1]
    assert [point.found for point in found] == pytest.approx([ends[0], sum(ends) / 2, ends[1]])


def test_a_merged_lora_lies_on_the_line() -> None:
    peft = pytest.importorskip("peft")
    from tests.vlm import models

    base = models.llama()
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    adapted = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    after = adapted.merge_and_unload().state_dict()
    mixed = interpolate(before, after, 0.5)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed
    assert all("q_proj" in name for name in changed)
    assert all(torch.equal(mixed[name], before[name]) for name in before if name not in changed)


@pytest.mark.parametrize(
    ("found", "best"),
    [([True, True, True], 1.0), ([True, True, False], 0.5), ([True, False, True], 0.0), ([False, True, True], None)],
)
def test_as_far_as_the_budget_allows_without_a_gap(found: list[bool], best: float | None) -> None:
    points = [Point(alpha, within) for alpha, within in zip((1.0, 0.5, 0.0), reversed(found), strict=True)]
    kept = furthest(points, bool)
    assert (kept.alpha if kept else None) == best


def test_a_mended_folder_loads_as_the_one_after_and_says_what_it_is(tmp_path: Path) -> None:
    before = save_native_llava(tmp_path / "before")
    after = change_weights(before, tmp_path / "after", 0.1)
    mended = write_mended(resolve(before), resolve(after), 0.5, tmp_path / "mended")
    lineage = json.loads((mended / "mended.json").read_text())
    assert lineage == {"before": resolve(before).fingerprint, "after": resolve(after).fingerprint, "alpha": 0.5}
    one, two, between = (load_vlm(str(each)).state_dict() for each in (before, after, mended))
    assert any(not torch.equal(one[name], two[name]) for name in one)
    for name, tensor in between.items():
        torch.testing.assert_close(tensor, torch.lerp(one[name], two[name], 0.5))
