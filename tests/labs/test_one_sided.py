"""What each objective wants, and what it cannot see."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.contrastive.losses import InfoNCE
from isthmus.labs.one_sided import InGroups, NegativesOnly, OnSphere, PositivesOnly, StopGradient, VarianceKept


def pairs(seed: int = 0, n: int = 12, width: int = 6) -> tuple[Tensor, Tensor]:
    """[n, width] twice, wanting gradients."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n, width, generator=generator).requires_grad_() for _ in range(2))  # type: ignore[return-value]


def gradient(loss: nn.Module, images: Tensor, texts: Tensor) -> Tensor:
    """Of the images, [n, width]."""
    return torch.autograd.grad(loss(images, texts), images)[0]


def test_positives_only_is_content_with_one_point() -> None:
    point = torch.ones(12, 6, requires_grad=True)
    loss = PositivesOnly()
    assert loss(point, point).item() == pytest.approx(0, abs=1e-6)
    assert gradient(loss, point, point).abs().max() < 1e-6


def test_negatives_only_does_not_see_partners() -> None:
    images, texts = (F.normalize(x, dim=1).double() for x in pairs())
    pushed = NegativesOnly(5.0)(images, texts)
    logits = 5 * images @ texts.T
    others = torch.stack([
        torch.cat([row[:i], row[i + 1 :]]).logsumexp(0) for table in (logits, logits.T) for i, row in enumerate(table)
    ])  # fmt: skip
    torch.testing.assert_close(pushed, others.mean())


def test_stop_gradient_sees_no_other_pair() -> None:
    images, texts = pairs()
    torch.manual_seed(0)
    loss = StopGradient(6, 8)
    before = gradient(loss, images, texts)
    others_images, others_texts = (torch.cat([x[:1], y[1:]]) for x, y in zip((images, texts), pairs(1), strict=True))
    after = gradient(loss, others_images.detach().requires_grad_(), others_texts)
    torch.testing.assert_close(after[0], before[0])
    assert not torch.allclose(after[1], before[1])


def test_stop_gradient_holds_the_target_still() -> None:
    """What moves the images is their own prediction only."""
    images, texts = pairs()
    torch.manual_seed(0)
    loss = StopGradient(6, 8)
    own = torch.autograd.grad(-F.cosine_similarity(loss.of_images(images), texts).mean() / 2, images)[0]
    torch.testing.assert_close(gradient(loss, images, texts), own)


def test_stop_gradient_matches_by_what_it_raises() -> None:
    images, texts = pairs()
    loss = StopGradient(6, 8)
    left, right = loss.matched(images, texts)
    torch.testing.assert_close(left.norm(dim=1), torch.ones(12))
    torch.testing.assert_close(right.norm(dim=1), torch.ones(12))
    torch.testing.assert_close(1 - (left * right).sum(1).mean(), loss(images, texts))


def test_variance_kept_prefers_spread_to_a_point() -> None:
    images, _ = pairs(n=200)
    loss = VarianceKept()
    spread, point = loss(images, images), loss(images[:1].expand(200, -1), images[:1].expand(200, -1))
    assert point > 10 * spread
    # the same numbers in every dimension: variance without new directions
    assert loss(images[:, :1].expand(-1, 6), images[:, :1].expand(-1, 6)) > 2 * spread


def test_groups_see_negatives_of_their_own_only() -> None:
    images, texts = pairs()
    loss = OnSphere(InGroups(InfoNCE(), 4))
    before = gradient(loss, images, texts)
    changed = torch.cat([texts[:4], pairs(1)[1][4:]])
    torch.testing.assert_close(gradient(loss, images, changed)[:4], before[:4])
    changed = torch.cat([texts[:3], pairs(1)[1][3:4], texts[4:]])
    assert not torch.allclose(gradient(loss, images, changed)[0], before[0])


def test_one_group_is_the_batch() -> None:
    images, texts = pairs()
    torch.testing.assert_close(OnSphere(InGroups(InfoNCE(), 12))(images, texts), OnSphere(InfoNCE())(images, texts))
