"""How many threads indexing uses."""

import os

import torch

from isthmus.photos import speed


def test_decoding_gets_its_share_of_the_processors_and_torch_its_own_back() -> None:
    before = torch.get_num_threads()
    with speed.indexing_threads():
        assert torch.get_num_threads() == max(1, (os.cpu_count() or 1) // 2)
    assert torch.get_num_threads() == before
