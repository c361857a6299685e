"""Learned tokens before a connector's own, or alone."""

import pytest
import torch

from isthmus.connectors import LinearConnector, SoftPromptConnector

from .samples import WIDTH_IN, WIDTH_OUT, features

PROMPT = torch.arange(2.0 * WIDTH_OUT).view(2, WIDTH_OUT)


def test_the_prompt_stands_before_what_is_seen() -> None:
    inner = LinearConnector(WIDTH_IN, WIDTH_OUT)
    seen = features(4, 3)
    out = SoftPromptConnector(PROMPT, inner)(seen)
    assert torch.equal(out.tokens[:, :2], PROMPT.expand(2, -1, -1))
    assert torch.equal(out.tokens[:, 2:], inner(seen).tokens)
    assert out.mask.tolist() == [[True] * 6, [True] * 5 + [False]]


def test_alone_it_says_the_same_of_every_picture_and_still_learns() -> None:
    blind = SoftPromptConnector(PROMPT, width_in=WIDTH_IN)
    assert blind.num_tokens(40) == 2
    one, another = blind(features(4, seed=0)), blind(features(9, seed=1))
    assert torch.equal(one.tokens, another.tokens)
    assert one.mask.shape == (1, 2)
    one.tokens.sum().backward()
    assert torch.equal(blind.prompt.grad, torch.ones(2, WIDTH_OUT))


def test_where_it_starts_is_copied() -> None:
    start = PROMPT.clone()
    connector = SoftPromptConnector(start, width_in=WIDTH_IN)
    start.zero_()
    assert torch.equal(connector.prompt, PROMPT)


def test_another_width_and_no_width_are_refused() -> None:
    with pytest.raises(ValueError, match="wide before tokens 7 wide"):
        SoftPromptConnector(PROMPT, LinearConnector(WIDTH_IN, 7))
    with pytest.raises(ValueError, match="how wide"):
        SoftPromptConnector(PROMPT)
