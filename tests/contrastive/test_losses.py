"""InfoNCE and the sigmoid loss in one process: against their formulas, and what must hold for any batch."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from isthmus.contrastive.losses import InfoNCE, LogitScale, SigmoidLoss

LOSSES = [InfoNCE, SigmoidLoss]


def batch(pairs, width=6, seed=0, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    images, texts = (torch.randn(pairs, width, generator=random, dtype=dtype) for _ in range(2))
    return F.normalize(images, dim=1), F.normalize(texts, dim=1)


def plain_infonce(images, texts, log_scale, same=None):
    """The formula, entry by entry."""
    pairs = len(images)
    logits = log_scale[0].exp() * images @ texts.T
    total = 0.0
    for way in (logits, logits.T):
        for i in range(pairs):
            others = [j for j in range(pairs) if j == i or same is None or same[i] != same[j]]
            total = total - way[i, i] + torch.logsumexp(way[i, others], 0)
    return total / (2 * pairs)


def plain_sigmoid(images, texts, log_scale, bias, same=None):
    pairs = len(images)
    logits = log_scale[0].exp() * images @ texts.T + bias[0]
    total = 0.0
    for i in range(pairs):
        for j in range(pairs):
            if i == j or same is None or same[i] != same[j]:
                total = total - F.logsigmoid(logits[i, j] if i == j else -logits[i, j])
    return total / pairs


@pytest.mark.parametrize("ids", [None, [0, 1, 0, 2, 1]])
@pytest.mark.parametrize("kind", LOSSES)
def test_value_and_gradients_match_the_formula_and_autograd(kind, ids):
    same = None if ids is None else torch.tensor(ids)
    loss = kind().double()
    images, texts = (x.requires_grad_() for x in batch(5))
    leaves = [images, texts, loss.scale.log_scale, *([loss.bias] if kind is SigmoidLoss else [])]
    plain = plain_infonce if kind is InfoNCE else plain_sigmoid
    want = plain(*leaves, same)
    torch.testing.assert_close(loss(images, texts, same), want, rtol=0, atol=1e-12)
    expected = torch.autograd.grad(want, leaves)
    found = torch.autograd.grad(loss(images, texts, same), leaves)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@given(pairs=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_the_order_of_the_pairs_does_not_matter(pairs, seed):
    images, texts = batch(pairs, seed=seed)
    order = torch.randperm(pairs, generator=torch.Generator().manual_seed(seed))
    same = torch.randint(0, 3, (pairs,), generator=torch.Generator().manual_seed(seed))
    for kind in LOSSES:
        loss = kind().double()
        torch.testing.assert_close(
            loss(images[order], texts[order], same[order]), loss(images, texts, same), rtol=0, atol=1e-10
        )


@given(pairs=st.integers(2, 8), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_infonce_is_symmetric_and_bounded_below_by_zero(pairs, seed):
    images, texts = batch(pairs, seed=seed)
    loss = InfoNCE().double()
    torch.testing.assert_close(loss(images, texts), loss(texts, images), rtol=0, atol=1e-10)
    assert loss(images, texts) > 0


@pytest.mark.parametrize("pairs", [1, 2, 17])
def test_collapsed_embeddings_cost_log_n(pairs):
    one = F.normalize(torch.ones(1, 4), dim=1).expand(pairs, 4)
    assert InfoNCE()(one, one).item() == pytest.approx(math.log(pairs), abs=1e-6)


def test_equal_captions_are_no_negatives():
    images, texts = batch(4)
    texts[1] = texts[0]  # the same caption twice: without ids the twin pulls each picture away from its own text
    ids = torch.tensor([5, 5, 6, 7])
    for kind in LOSSES:
        loss = kind().double()
        assert loss(images, texts, ids) < loss(images, texts)
    alone = InfoNCE().double()
    torch.testing.assert_close(alone(images[:2], texts[:2], ids[:2]), torch.tensor(0.0, dtype=torch.float64))


def test_all_ids_different_is_the_same_as_no_ids():
    images, texts = batch(6)
    for kind in LOSSES:
        loss = kind().double()
        torch.testing.assert_close(loss(images, texts, torch.arange(6)), loss(images, texts), rtol=0, atol=0)


def test_the_scale_stops_at_its_limit_and_can_come_down_again():
    scale = LogitScale(start=10.0, most=100.0)
    with torch.no_grad():
        scale.log_scale.fill_(50.0)
    value = scale()
    assert value.item() == pytest.approx(100.0, rel=1e-5)
    value.backward()
    assert scale.log_scale.grad.item() == pytest.approx(100.0, rel=1e-5)
    with torch.no_grad():
        scale.log_scale -= 1.0
    assert scale().item() == pytest.approx(100.0 / math.e, rel=1e-5)


@pytest.mark.parametrize("start", [0.0, -1.0, 101.0])
def test_a_start_outside_its_limits_is_refused(start):
    with pytest.raises(ValueError, match="limit"):
        LogitScale(start=start, most=100.0)


@pytest.mark.parametrize("kind", LOSSES)
def test_half_precision_embeddings_are_widened_even_under_autocast(kind):
    images, texts = batch(6, dtype=torch.float32)
    half = [x.bfloat16() for x in (images, texts)]
    loss = kind()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(*half)
    torch.testing.assert_close(found, loss(*(x.float() for x in half)), rtol=0, atol=0)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("kind", LOSSES)
def test_a_step_down_the_gradient_lowers_the_loss(kind):
    images, texts = (x.requires_grad_() for x in batch(6))
    loss = kind().double()
    before = loss(images, texts)
    before.backward()
    with torch.no_grad():
        for x in (images, texts, *loss.parameters()):
            x -= 1e-3 * x.grad
    assert loss(images, texts) < before


@pytest.mark.parametrize("kind", LOSSES)
def test_shapes_that_do_not_fit_are_refused(kind):
    images, texts = batch(4)
    loss = kind().double()
    with pytest.raises(ValueError, match="in pairs"):
        loss(images, texts[:3])
    with pytest.raises(ValueError, match="one id for each"):
        loss(images, texts, torch.arange(3))
    with pytest.raises(ValueError, match="empty"):
        loss(images[:0], texts[:0])


def test_the_sigmoid_loss_keeps_no_table_of_logits():
    """What stays for the backward pass is of the embeddings' size, so that a batch may be as large as they are."""
    images, texts = (x.requires_grad_() for x in batch(64, width=4))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        SigmoidLoss().double()(images, texts)
    assert max(kept) == 64 * 4
