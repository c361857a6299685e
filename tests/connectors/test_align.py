"""Tokens as mixtures of words."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.connectors import AlignConnector, LinearConnector, SoftPromptConnector

from .samples import WIDTH_IN, WIDTH_OUT, features

WORDS = torch.randn(6, WIDTH_OUT, generator=torch.Generator().manual_seed(0))


def align(sharpness: float = 4.0) -> AlignConnector:
    torch.manual_seed(1)
    return AlignConnector(WORDS, LinearConnector(WIDTH_IN, WIDTH_OUT), sharpness=sharpness)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 1000))
def test_no_token_leaves_the_words(seed: int, scale: float) -> None:
    """Along any direction a mixture lies between the words that lie farthest."""
    connector = align()
    with torch.no_grad():
        connector.inner.project.weight.mul_(scale)
        out = connector(features(5, seed=seed)).tokens[0]
        assert (out <= WORDS.amax(0) + 1e-4).all()
        assert (out >= WORDS.amin(0) - 1e-4).all()
        assert (out.norm(dim=1) <= WORDS.norm(dim=1).max() + 1e-4).all()


def test_scores_are_distances_and_weigh_the_words() -> None:
    connector, seen = align(), features(3)
    near, out = connector.inner(seen).tokens, connector(seen)
    apart = -4.0 * torch.cdist(near, WORDS).square() / 2
    torch.testing.assert_close(out.scores.log_softmax(-1), apart.log_softmax(-1), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.tokens, apart.softmax(-1) @ WORDS, atol=1e-4, rtol=0)


def test_what_is_a_word_stays_that_word() -> None:
    connector = align(sharpness=50.0)
    with torch.no_grad():
        connector.inner.project.weight.zero_()
        connector.inner.project.bias.copy_(WORDS[4])
    torch.testing.assert_close(connector(features(2)).tokens, WORDS[4].expand(1, 2, -1), atol=1e-3, rtol=0)


def test_the_words_are_kept_and_never_trained() -> None:
    connector = align()
    assert torch.equal(connector.state_dict()["words"], WORDS)
    assert "words" not in dict(connector.named_parameters())
    connector(features(2)).tokens.sum().backward()
    assert connector.inner.project.weight.grad is not None


def test_a_prompt_before_it_hands_its_scores_on() -> None:
    out = SoftPromptConnector(WORDS[:2], align())(features(3))
    assert out.tokens.shape[1] == 5
    assert out.scores.shape == (1, 3, 6)


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="words 10 wide for tokens 7 wide"):
        AlignConnector(WORDS, LinearConnector(WIDTH_IN, 7))
