"""Which precision and how many threads indexing uses."""

import os

import pytest
import torch

from isthmus.photos import speed


@pytest.mark.parametrize(("gain", "dtype"), [(2.0, torch.bfloat16), (1.05, torch.float32), (0.1, torch.float32)])
def test_bf16_only_where_it_is_clearly_faster(monkeypatch: pytest.MonkeyPatch, gain: float, dtype: torch.dtype) -> None:
    monkeypatch.setattr(speed, "_gain", lambda: gain)
    assert speed.indexing_dtype("cpu") == dtype


def test_other_devices_keep_fp32() -> None:
    assert speed.indexing_dtype("mps") == torch.float32


def test_decoding_gets_its_share_of_the_processors_and_torch_its_own_back() -> None:
    before = torch.get_num_threads()
    with speed.indexing_threads():
        assert torch.get_num_threads() == max(1, (os.cpu_count() or 1) // 2)
    assert torch.get_num_threads() == before
