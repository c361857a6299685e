"""The three masks against their definition, cell by cell."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.masks import bidirectional, multimodal_causal, unimodal

ALLOWED = {
    unimodal: lambda q, k, m: (q < m) == (k < m),
    bidirectional: lambda q, k, m: True,  # noqa: ARG005
    multimodal_causal: lambda q, k, m: k < m if q < m else (k < m or k <= q),
}


@given(queries=st.integers(0, 4), lengths=st.lists(st.integers(0, 4), min_size=1, max_size=3))
def test_each_cell_is_as_the_paper_draws_it(queries, lengths):
    t = max(lengths)
    text = torch.arange(t) < torch.tensor(lengths)[:, None]
    for mask, allowed in ALLOWED.items():
        found = mask(queries, text)
        assert found.shape == (len(lengths), queries + t, queries + t)
        for b, length in enumerate(lengths):
            for q in range(queries + t):
                for k in range(queries + t):
                    is_padding = k >= queries + length
                    expected = q == k if is_padding else allowed(q, k, queries)
                    assert bool(found[b, q, k]) == expected, (mask.__name__, b, q, k)


def test_the_three_differ_where_they_should():
    text = torch.ones(1, 3, dtype=torch.bool)
    sums = [int(mask(2, text).sum()) for mask in (unimodal, bidirectional, multimodal_causal)]
    assert sums == [4 + 9, 25, 4 + 6 + 6]
