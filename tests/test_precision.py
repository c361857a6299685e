"""bf16 where it is clearly faster, and nowhere else."""

import pytest
import torch

from isthmus import precision


@pytest.mark.parametrize(("gain", "dtype"), [(2.0, torch.bfloat16), (1.05, torch.float32), (0.1, torch.float32)])
def test_bf16_only_where_it_is_clearly_faster(monkeypatch: pytest.MonkeyPatch, gain: float, dtype: torch.dtype) -> None:
    monkeypatch.setattr(precision, "_gain", lambda: gain)
    assert precision.fast_dtype("cpu") == dtype
    with precision.fast_autocast("cpu"):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == dtype


def test_other_devices_keep_fp32() -> None:
    assert precision.fast_dtype("mps") == torch.float32


def test_measuring_leaves_the_random_state_alone() -> None:
    precision._gain.cache_clear()
    torch.manual_seed(5)
    precision.fast_dtype("cpu")
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
