"""The cache that grows in place holds what transformers' own would, whatever is read, cropped or put in its place."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache

from isthmus.vlm.cache import ROOM, growing_cache

EVENTS = st.lists(st.one_of(st.integers(1, 2 * ROOM), st.tuples(st.just("crop"), st.integers(1, 90))), max_size=12)


@given(EVENTS, st.booleans())
def test_it_is_transformers_own(events: list[int | tuple[str, int]], swapped: bool) -> None:
    torch.manual_seed(0)
    ours, theirs = growing_cache(), DynamicCache()
    for event in events:
        if isinstance(event, int):
            for layer in range(2):
                keys, values = torch.randn(2, 3, event, 4), torch.randn(2, 3, event, 5)
                for found, expected in zip(
                    ours.update(keys, values, layer), theirs.update(keys, values, layer), strict=True
                ):
                    assert torch.equal(found, expected)
        elif ours.get_seq_length() > event[1]:
            ours.crop(-event[1])
            theirs.crop(-event[1])
        assert ours.get_seq_length() == theirs.get_seq_length()
        if swapped and ours.layers:
            ours.layers[0].keys = ours.layers[0].keys.clone()


def test_a_token_moves_no_others() -> None:
    cache = growing_cache()
    cache.update(torch.randn(1, 2, 10, 4), torch.randn(1, 2, 10, 4), 0)
    before = cache.layers[0].keys.data_ptr()
    for _ in range(ROOM):
        cache.update(torch.randn(1, 2, 1, 4), torch.randn(1, 2, 1, 4), 0)
        assert cache.layers[0].keys.data_ptr() == before
    cache.update(torch.randn(1, 2, 1, 4), torch.randn(1, 2, 1, 4), 0)
    assert cache.layers[0].keys.data_ptr() != before
