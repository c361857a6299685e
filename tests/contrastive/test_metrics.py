"""Retrieval metrics: against scikit-learn where definitions agree, and what must hold at ties and for any order."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score
from torch.nn import functional as F

from isthmus.contrastive import metrics


def table(queries, gallery, seed, graded=False):
    """Scores without ties and gains in which every query has something to find."""
    random = np.random.default_rng(seed)
    scores = random.permuted(np.tile(np.arange(gallery, dtype=np.float64), (queries, 1)), axis=1)
    gain = random.integers(0, 4 if graded else 2, size=(queries, gallery))
    gain[np.arange(queries), random.integers(0, gallery, queries)] = 1
    return torch.from_numpy(scores), torch.from_numpy(gain)


@given(queries=st.integers(1, 5), gallery=st.integers(2, 12), seed=st.integers(0, 999))
@settings(max_examples=40)
def test_average_precision_is_scikit_learns(queries, gallery, seed):
    scores, gain = table(queries, gallery, seed)
    found = metrics.average_precision(scores, gain > 0)
    want = [average_precision_score(g, s) for g, s in zip(gain.numpy() > 0, scores.numpy(), strict=True)]
    np.testing.assert_allclose(found.numpy(), want, atol=1e-12)


@given(queries=st.integers(1, 5), gallery=st.integers(2, 12), k=st.integers(1, 15), seed=st.integers(0, 999))
@settings(max_examples=40)
def test_ndcg_is_scikit_learns(queries, gallery, k, seed):
    scores, gain = table(queries, gallery, seed, graded=True)
    found = metrics.ndcg(scores, gain.double(), k)
    want = [ndcg_score([g], [s], k=k) for g, s in zip(gain.numpy(), scores.numpy(), strict=True)]
    np.testing.assert_allclose(found.numpy(), want, atol=1e-12)


def test_ranks_and_recall_by_hand():
    scores = torch.tensor([[0.9, 0.5, 0.1, 0.3], [0.2, 0.4, 0.3, 0.1]])
    relevant = torch.tensor([[False, True, False, True], [True, False, False, False]])
    assert metrics.first_rank(scores, relevant).tolist() == [2, 3]
    assert metrics.recall(scores, relevant, 1).tolist() == [0, 0]
    assert metrics.recall(scores, relevant, 2).tolist() == [1, 0]
    assert metrics.average_precision(scores, relevant).tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, 1 / 3])


@pytest.mark.parametrize("hit", [0, 3, 6])
def test_ties_go_against_the_model_wherever_the_hit_stands(hit):
    relevant = torch.zeros(1, 7, dtype=torch.bool)
    relevant[0, hit] = True
    collapsed = torch.full((1, 7), 0.5)
    assert metrics.first_rank(collapsed, relevant).item() == 7
    assert metrics.recall(collapsed, relevant, 5).item() == 0
    assert metrics.average_precision(collapsed, relevant).item() == pytest.approx(1 / 7)
    assert metrics.ndcg(collapsed, relevant, 5).item() == 0


def test_a_collapsed_embedding_finds_nothing():
    one = F.normalize(torch.ones(1, 8), dim=1)
    found = metrics.retrieval(one.expand(20, 8), one.expand(40, 8), torch.arange(40) % 20, seed=0, resamples=50)
    for direction in (found.text_to_image, found.image_to_text):
        assert [interval.value for interval in direction.recall.values()] == [0, 0, 0]
        assert direction.median_rank.value >= 20


@given(seed=st.integers(0, 999), ties=st.booleans())
@settings(max_examples=30)
def test_the_order_of_the_gallery_does_not_matter(seed, ties):
    scores, gain = table(4, 9, seed)
    if ties:
        scores = (scores / 3).floor()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(9))
    for metric in (metrics.first_rank, metrics.average_precision, lambda s, g: metrics.ndcg(s, g, 4)):
        torch.testing.assert_close(metric(scores[:, order], gain[:, order]), metric(scores, gain))


@given(seed=st.integers(0, 999))
@settings(max_examples=30)
def test_raising_a_relevant_score_never_hurts(seed):
    scores, gain = table(4, 9, seed)
    better = scores + 2.5 * (gain > 0)
    assert (metrics.first_rank(better, gain) <= metrics.first_rank(scores, gain)).all()
    assert (metrics.average_precision(better, gain) >= metrics.average_precision(scores, gain) - 1e-12).all()


def test_sorting_in_parts_changes_nothing(monkeypatch):
    scores, gain = table(11, 6, 0)
    whole = metrics.ranked(scores, gain)
    monkeypatch.setattr(metrics, "_AT_ONCE", 12)
    assert torch.equal(metrics.ranked(scores, gain), whole)


def test_several_captions_of_one_picture_both_ways():
    images = torch.eye(3)
    texts = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0, 1.0, 0], [0, 0.8, 0.6]])
    owner = [0, 0, 1, 2]  # captions 1 and 3 lie nearer to picture 1
    found = metrics.retrieval(images, texts, owner, seed=0, ks=(1, 2), resamples=50)
    assert found.text_to_image.recall[1].value == 0.5
    assert found.text_to_image.recall[2].value == 1
    # Each picture's nearest caption is its own: one of several is enough.
    assert found.image_to_text.recall[1].value == 1
    assert found.image_to_text.median_rank.value == 1


def test_equal_captions_belong_to_all_their_pictures():
    images = torch.eye(3)
    texts = torch.tensor([[0.0, 1, 0], [0.0, 1, 0], [0, 0, 1.0]])  # the first two say the same, of pictures 0 and 1
    strict = metrics.retrieval(images, texts, [0, 1, 2], seed=0, ks=(1,), resamples=50)
    assert strict.text_to_image.recall[1].value == pytest.approx(2 / 3)
    found = metrics.retrieval(images, texts, [0, 1, 2], same=[7, 7, 8], seed=0, ks=(1,), resamples=50)
    assert found.text_to_image.recall[1].value == 1
    assert found.image_to_text.recall[1].value == pytest.approx(2 / 3)  # picture 0 is still told from its words


def test_scores_alone_are_enough():
    random = torch.Generator().manual_seed(0)
    images, texts = torch.randn(4, 6, generator=random), torch.randn(5, 6, generator=random)
    owner = [0, 1, 2, 3, 3]
    found = metrics.retrieval(images, texts, owner, seed=1, resamples=20)
    assert metrics.retrieval_by(texts @ images.T, owner, seed=1, resamples=20) == found


def test_pictures_without_a_caption_are_distractors_only():
    images, texts = torch.eye(3), torch.eye(3)[:2]
    found = metrics.retrieval(images, texts, [0, 1], seed=0, resamples=50)
    assert found.image_to_text.recall[1].value == 1


def test_the_interval_covers_its_value_and_repeats_with_its_seed():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=30))
    first, again, other = (metrics.bootstrap(values, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert first.value == pytest.approx(values.mean().item())
    assert first.low < first.value < first.high


def test_the_interval_has_the_width_theory_gives():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=400))
    found = metrics.bootstrap(values, seed=0, resamples=4000)
    error = values.std(correction=0).item() / 20
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.1 * error)


def test_values_that_hang_together_are_drawn_together():
    values = torch.tensor([0.0, 1.0] * 10).repeat_interleave(5)
    groups = torch.arange(20).repeat_interleave(5)
    alone, together = metrics.bootstrap(values, seed=0), metrics.bootstrap(values, seed=0, groups=groups)
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def test_what_cannot_be_measured_is_refused():
    scores, gain = table(3, 4, 0)
    with pytest.raises(ValueError, match="both"):
        metrics.first_rank(scores, gain[:2])
    with pytest.raises(ValueError, match="not a number"):
        metrics.first_rank(torch.full_like(scores, torch.nan), gain)
    with pytest.raises(ValueError, match="query 1 has nothing relevant"):
        metrics.first_rank(scores, gain * torch.tensor([[1], [0], [1]]))
    with pytest.raises(ValueError, match="at least one"):
        metrics.bootstrap(torch.empty(0), seed=0)
    with pytest.raises(ValueError, match="not one of the 3 pictures"):
        metrics.retrieval(torch.eye(3), torch.eye(3), [0, 1, 3], seed=0)
