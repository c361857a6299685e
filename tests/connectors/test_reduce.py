"""Fewer tokens: which neighbours become one, and what is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.reduce import Reduction, average, shuffle
from isthmus.errors import InputError

from .samples import features


@given(factor=st.integers(1, 3), rows=st.integers(1, 3), columns=st.integers(1, 3), views=st.integers(1, 3))
def test_each_block_of_neighbours_becomes_one_token(factor, rows, columns, views):
    """Every token is marked by its place (view, row, column); the blocks are gone through one by one."""
    by = Reduction(factor, (rows * factor, columns * factor))
    grid = torch.cartesian_prod(
        torch.arange(views), torch.arange(rows * factor), torch.arange(columns * factor)
    ).float()
    tokens, mask = grid[None], torch.ones(1, len(grid), dtype=torch.bool)
    joined, joined_mask = shuffle(tokens, mask, by)
    mean, mean_mask = average(tokens, mask, by)
    assert joined.shape[1] == mean.shape[1] == by.count(len(grid)) == views * rows * columns
    assert joined_mask.all() and mean_mask.all()
    at = 0
    for view in range(views):
        for row in range(rows):
            for column in range(columns):
                inside = [(view, row * factor + y, column * factor + x) for y in range(factor) for x in range(factor)]
                expected = torch.tensor(inside, dtype=torch.float32)
                assert torch.equal(joined[0, at].view(-1, 3), expected)
                torch.testing.assert_close(mean[0, at], expected.mean(0))
                at += 1


def test_a_square_grid_is_found_and_shuffled_as_in_idefics3():
    from transformers.models.idefics3.modeling_idefics3 import Idefics3Connector

    tokens, mask = features(36, 36).tokens, torch.ones(2, 36, dtype=torch.bool)
    ours, _ = shuffle(tokens, mask, Reduction(3))
    assert torch.equal(ours, Idefics3Connector.pixel_shuffle(None, tokens, 3))


def test_padding_inside_a_view_counts_as_zeros_or_not_at_all():
    tokens = torch.arange(4.0).view(1, 4, 1) + 1
    mask = torch.tensor([[True, True, False, False]])
    by = Reduction(2, (2, 2))
    assert shuffle(tokens, mask, by)[0].tolist() == [[[1, 2, 0, 0]]]
    assert average(tokens, mask, by)[0].tolist() == [[[1.5]]]
    assert average(tokens, mask, by)[1].tolist() == [[True]]


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: Reduction(2).count(257), "257 tokens are no square"),
        (lambda: Reduction(2).count(49), "7 x 7 tokens cannot be reduced by 2"),
        (lambda: Reduction(2, (4, 6)).count(25), "25 tokens are not views of 4 x 6"),
        (lambda: Reduction(4, (4, 6)), "4 x 6 tokens cannot be reduced by 4"),
        (
            lambda: MlpConnector(12, 4, reduction="shuffle", factor=2)(features(16, 4)),
            "padded pictures have no square grid",
        ),
        (lambda: MlpConnector(12, 4, reduction="average", factor=2).num_tokens(10), "10 tokens are no square"),
    ],
)
def test_tokens_that_would_be_left_over_are_refused_in_one_line(act, says):
    with pytest.raises(InputError, match=says) as caught:
        act()
    assert "\n" not in str(caught.value)
