"""Tiles put together: order, padding, and what a picture's size decides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from isthmus.connectors.tiles import LINE_END, TilesConnector
from isthmus.errors import InputError
from isthmus.vision.features import Features, Frame

SIDE = 3


def connector(**settings) -> TilesConnector:
    torch.manual_seed(0)
    return TilesConnector(6, 8, side=SIDE, **settings)


def features(*frames: Frame, tokens: Tensor | None = None) -> Features:
    counts = [SIDE**2 * (1 + (frame.grid[0] * frame.grid[1] if frame.grid else 0)) for frame in frames]
    random = torch.Generator().manual_seed(1)
    if tokens is None:
        tokens = torch.randn(len(frames), max(counts), 6, generator=random)
    mask = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    return Features(tokens, mask, torch.zeros(*tokens.shape[:2], 4), tokens[:, 0], frames)


def test_two_tiles_side_by_side_become_rows() -> None:
    """Overview 0 to 8, left tile 9 to 17, right tile 18 to 26: a row is three of each, and an end."""
    order = connector().order(27, Frame(60, 30, (1, 2)))
    assert order[:9] == tuple(range(9))
    assert order[9:16] == (9, 10, 11, 18, 19, 20, LINE_END)
    assert order[23:] == (15, 16, 17, 24, 25, 26, LINE_END)


def test_rows_of_padding_are_left_out() -> None:
    """A picture six times as wide as high fills one row of three, the middle one."""
    order = connector().order(27, Frame(60, 10, (1, 2)))
    assert order[9:] == (12, 13, 14, 21, 22, 23, LINE_END)


def test_without_tiles_one_end() -> None:
    assert connector().order(9, Frame(60, 10)) == (*range(9), LINE_END)


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99), st.integers(0, 2)), min_size=1, max_size=4))
def test_num_tokens_is_what_comes_out_and_padding_changes_nothing(sizes: list[tuple[int, int, int]]) -> None:
    grids = (None, (1, 2), (2, 2))
    frames = [Frame(width, height, grids[at]) for width, height, at in sizes]
    made, given_ = connector(), features(*frames)
    out = made(given_)
    for at, frame in enumerate(frames):
        n = int(given_.mask[at].sum())
        alone = made(features(frame, tokens=given_.tokens[at : at + 1, :n]))
        m = made.num_tokens(n, frame)
        assert out.mask[at].sum() == m == alone.tokens.shape[1]
        torch.testing.assert_close(out.tokens[at, :m], alone.tokens[0], rtol=1e-5, atol=1e-6)


def test_frozen_and_half() -> None:
    frozen = connector(trainable=False).bfloat16().train()
    assert not frozen.training
    assert not any(each.requires_grad for each in frozen.parameters())
    assert frozen(features(Frame(9, 9, (1, 2)))).tokens.dtype == torch.bfloat16


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(InputError, match="a picture's size is not known"):
        connector().num_tokens(27)
    with pytest.raises(InputError, match="a picture has 28 tokens: an overview and 1 x 2 tiles of 3 x 3"):
        connector().num_tokens(28, Frame(60, 10, (1, 2)))
