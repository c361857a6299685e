"""Draws follow the distribution asked for, their seed, and nothing else."""

import torch
from torch import Tensor

from isthmus.backends.backend import Options
from isthmus.backends.sampling import logits_processors

SCORES = torch.tensor([[2.0, 1.0, 0.5, -1.0, -3.0]])
CPU = torch.device("cpu")


def draws(options: Options, count: int = 4000) -> Tensor:
    """How often each token was drawn [V], as a share."""
    chain, ids = logits_processors(options, CPU), torch.zeros(1, 1, dtype=torch.long)
    drawn = torch.stack([chain(ids, SCORES).argmax() for _ in range(count)])
    return drawn.bincount(minlength=SCORES.shape[1]) / count


def test_greedy_needs_no_processor() -> None:
    assert len(logits_processors(Options(temperature=0), CPU)) == 0


def test_temperature_one_draws_from_the_models_own_distribution() -> None:
    expected = SCORES[0].softmax(-1)
    error = (expected * (1 - expected) / 4000).sqrt()
    assert ((draws(Options(temperature=1.0, seed=0)) - expected).abs() < 4 * error).all()


def test_a_lower_temperature_sharpens() -> None:
    expected = (SCORES[0] / 0.5).softmax(-1)
    error = (expected * (1 - expected) / 4000).sqrt()
    assert ((draws(Options(temperature=0.5, seed=0)) - expected).abs() < 4 * error + 1e-9).all()


def test_top_p_leaves_the_tail_out() -> None:
    shares = draws(Options(temperature=1.0, top_p=0.8, seed=0))
    assert shares[:2].sum() == 1  # .61 + .23 reach .8
    assert shares[1] > 0


def test_one_token_is_left_and_the_rest_impossible() -> None:
    scores = logits_processors(Options(temperature=1.0, seed=0), CPU)(torch.zeros(1, 1, dtype=torch.long), SCORES)
    assert sorted(scores[0].tolist()) == [-torch.inf] * 4 + [0.0]


def test_the_processs_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    draws(Options(temperature=1.0, seed=0), 3)
    draws(Options(temperature=1.0), 3)
    assert torch.equal(torch.get_rng_state(), before)
