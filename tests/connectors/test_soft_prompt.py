"""Learned tokens before a connector's own, or alone."""

import pytest
import torch

from isthmus.connectors import AlignConnector, HintConnector, HintShape, LinearConnector, SoftPromptConnector
from isthmus.connectors.connector import Text
from isthmus.vision.features import Features

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


def hinting() -> tuple[SoftPromptConnector, HintConnector, Features, Text]:
    """A connector that gives a hint of 2 tokens behind a cue of 3, what it wraps, and something to ask about."""
    torch.manual_seed(0)
    rows = torch.randn(30, WIDTH_OUT)
    spoken = AlignConnector(rows[:10], LinearConnector(WIDTH_IN, WIDTH_OUT))
    spoken.num_tokens = lambda n, frame=None: 4  # type: ignore[method-assign,assignment]  # noqa: ARG005
    inner = HintConnector(spoken, rows, HintShape(tokens=2, width=16, layers=1, heads=4, width_ffn=32, row=2))
    text = Text(torch.tensor([[3, 7]]), torch.ones(1, 2, dtype=torch.bool))
    return SoftPromptConnector(PROMPT, inner, cue=rows[20:23]), inner, features(4), text


def test_the_cue_stands_right_before_the_hint() -> None:
    connector, hints, seen, text = hinting()
    out, inner = connector(seen, text), hints(seen, text)
    assert out.tokens.shape[1] == connector.num_tokens(4) == 2 + 4 + 3 + 2
    parts = out.tokens.split([2, 4, 3, 2], dim=1)
    expected = [PROMPT, inner.tokens[0, :4], connector.cue, inner.tokens[0, 4:]]
    for part, wanted in zip(parts, expected, strict=True):
        assert torch.equal(part[0], wanted)
    looked = connector.look(seen)
    assert torch.equal(looked.tokens, out.tokens[:, :-2])
    assert torch.equal(connector.hint(looked, text).tokens, out.tokens[:, -2:])
    assert [tuple(each.shape) for each in connector.steering] == [(2, WIDTH_OUT), (3, WIDTH_OUT), *[(WIDTH_OUT,)] * 2]


def test_a_hint_alone_is_stretched_and_shifted() -> None:
    connector, inner, seen, text = hinting()
    with torch.no_grad():
        connector.stretch.fill_(1.0)
        connector.shift.fill_(3.0)
    out, plain = connector(seen, text).tokens, inner(seen, text).tokens
    assert torch.equal(out[:, 2:6], plain[:, :4])
    assert torch.equal(out[:, -2:], 2 * plain[:, 4:] + 3)


def test_a_cue_without_a_hint_is_refused() -> None:
    with pytest.raises(ValueError, match="this connector gives none"):
        SoftPromptConnector(PROMPT, LinearConnector(WIDTH_IN, WIDTH_OUT), cue=PROMPT)


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
