import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from isthmus.labs.geometry import alignment, effective_rank, uniformity


def cloud(seed: int, n: int = 40, width: int = 8) -> torch.Tensor:
    return F.normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_one_point() -> None:
    point = cloud(0, 1).expand(20, -1)
    assert uniformity(point) == pytest.approx(0, abs=1e-6)
    assert effective_rank(point) == pytest.approx(1, abs=1e-3)


def test_two_opposite_points() -> None:
    pole = cloud(0, 1)
    assert uniformity(torch.cat([pole, -pole])) == pytest.approx(-8)  # d² = 4
    assert effective_rank(torch.cat([pole, -pole])) == pytest.approx(1, abs=1e-3)


def test_axes_have_full_rank() -> None:
    assert effective_rank(torch.eye(8)) == pytest.approx(8)


def test_alignment() -> None:
    x = cloud(0)
    assert alignment(x, x) == 0
    assert alignment(x, -x) == pytest.approx(4)
    assert alignment(cloud(1, 4000), cloud(2, 4000)) == pytest.approx(2, abs=0.1)


@given(st.integers(0, 1000), st.integers(2, 12))
def test_turning_changes_nothing(seed: int, width: int) -> None:
    x = cloud(seed, width=width)
    turn, _ = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(seed + 1)))
    assert uniformity(x @ turn) == pytest.approx(uniformity(x), abs=1e-4)
    assert effective_rank(x @ turn) == pytest.approx(effective_rank(x), rel=1e-4)
    assert 1 <= effective_rank(x) <= width + 1e-4
    assert uniformity(x) <= 0
