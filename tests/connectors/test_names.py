"""Names said as a whole: against the same worked out name by name, and what they may and may not do."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from isthmus.connectors import AlignConnector, NamesConnector, NamesShape, QFormerConnector
from isthmus.connectors.names import UNSURE

from .samples import SMALL, WIDTH_OUT, disturb, features

QUERIES, W = 9, 7
SHAPE = NamesShape(starts=(1, 6), alone=5, overviews=2, rank=4)
SPELLED = torch.tensor([[0, 0], [3, 0], [3, 4], [5, 4], [6, 2]])


def connector() -> NamesConnector:
    """Of 9 tokens, 1 and 2 name a first thing, 6 and 7 a second one, and 5 says whether there is one."""
    torch.manual_seed(0)
    inner = disturb(QFormerConnector(replace(SMALL, queries=QUERIES, vocabulary=0)), 0)
    words = torch.randn(W, WIDTH_OUT)
    return disturb(NamesConnector(AlignConnector(words, inner, sharpness=1.0), SPELLED, SHAPE), 1).eval()  # type: ignore[arg-type,return-value]


def by_hand(chances: Tensor, opinion: Tensor) -> Tensor:
    """One picture: chances [M, W] and opinion [names], probabilities both -> [M, W]."""
    out = chances.clone()
    for row, start in enumerate(SHAPE.starts):
        likely = []
        for at, (one, two) in enumerate(SPELLED.tolist()):
            here = float(chances[start, one] * chances[start + 1, two])
            likely.append(here * (float(opinion[at]) ** float(chances[SHAPE.alone, 0]) if row == 0 else 1))
        for k in range(2):
            out[start + k] *= UNSURE
            for share, words in zip(likely, SPELLED.tolist(), strict=True):
                out[start + k, words[k]] += (1 - UNSURE) * share / math.fsum(likely)
    return out


def test_names_are_weighed_as_worked_out_one_by_one() -> None:
    names, seen = connector(), features(6, 4)
    with torch.no_grad():
        out, inner = names(seen), names.inner(seen)
        opinion = names.opinion(seen.tokens).exp()
    for picture in range(2):
        expected = by_hand(inner.scores[picture].softmax(-1), opinion[picture])
        torch.testing.assert_close(out.scores[picture].softmax(-1), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.tokens, out.scores.softmax(-1) @ names.words, atol=1e-4, rtol=0)
    assert torch.equal(out.mask, inner.mask)


def test_everything_but_names_stays_as_it_was() -> None:
    names, seen = connector(), features(6)
    out, inner = names(seen), names.inner(seen)
    others = [0, 3, 4, 5, 8]
    assert torch.equal(out.tokens[:, others], inner.tokens[:, others])
    assert names.num_tokens(6) == out.tokens.shape[1] == QUERIES


def test_what_is_seen_at_a_glance_counts_for_the_first_name_of_one_thing_alone() -> None:
    names, seen = connector(), features(6)

    def first_and_second(alone: float) -> tuple[Tensor, Tensor]:
        scores = names.inner(seen).scores.clone()
        scores[:, SHAPE.alone, 0] = alone
        said = names.inner(seen)
        names.inner.forward = lambda *_: replace(said, scores=scores)  # type: ignore[method-assign]
        try:
            out = names(seen).scores
        finally:
            del names.inner.forward
        return out[:, 1:3], out[:, 6:8]

    for certain, matters in ((50.0, True), (-50.0, False)):
        with torch.no_grad():
            before = first_and_second(certain)
            names.name.bias += torch.tensor([9.0, 0, 0, 0, 0])
            after = first_and_second(certain)
            names.name.bias -= torch.tensor([9.0, 0, 0, 0, 0])
        assert torch.allclose(before[0], after[0], atol=1e-5) != matters
        assert torch.equal(before[1], after[1])


def test_both_opinions_learn() -> None:
    names = connector().train()
    names(features(6)).scores[0, 1].log_softmax(-1)[3].backward()
    for learned in (names.look.weight, names.name.weight, names.inner.inner.project.weight):
        assert learned.grad is not None
        assert learned.grad.abs().sum() > 0


def test_names_behind_the_last_token_are_refused() -> None:
    inner = AlignConnector(torch.randn(W, WIDTH_OUT), QFormerConnector(replace(SMALL, queries=7, vocabulary=0)))
    with pytest.raises(ValueError, match="behind the last of 7"):
        NamesConnector(inner, SPELLED, SHAPE)
