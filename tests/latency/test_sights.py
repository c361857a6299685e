"""Counts of patches and tokens against the Fits, connectors and processors that make them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize
from transformers.vision_utils import get_vision_window_index

from isthmus.connectors.tiles import TilesConnector
from isthmus.errors import InputError
from isthmus.images.split import Split
from isthmus.images.tiles import Tiles
from isthmus.latency.named import model_named
from isthmus.latency.sights import native, split, tiled
from isthmus.messages import Role
from isthmus.vision.features import Frame
from isthmus.vlm.idefics3_prompt import AnnouncedTiles
from isthmus.vlm.prompt_tokenizer import Run
from isthmus.vlm.sequence import Extent

SIDE = st.integers(20, 3000)


@given(SIDE, SIDE)
def test_llava_nexts_tokens_are_its_connectors(width: int, height: int) -> None:
    fit = Tiles(size=336)
    sight = tiled(width, height, fit, side=24)
    connector = TilesConnector(8, 8, side=24)
    grid = fit.grid(width, height)
    assert sight.tokens == connector.num_tokens(sight.views * sight.patches, Frame(width, height, grid))


@given(SIDE, SIDE)
def test_idefics3s_tiles_are_its_fits_and_its_announcements_its_layouts(width: int, height: int) -> None:
    fit = Split(size=512, longest=2048)
    sight = split(width, height, fit, patches=1024, tokens=64)
    grid = fit.grid(width, height)
    tiles = grid if grid != (1, 1) else None
    role: Role = "user"
    laid = AnnouncedTiles(frozenset())(Extent(sight.tokens, tiles), role)
    runs = [each.count for each in laid if isinstance(each, Run)]
    assert len(runs) == sight.views
    assert sum(runs) == sight.tokens
    lines = 1 if tiles else 0  # the blank line and the last row's end are one token
    assert sight.announcing == len(laid) - len(runs) - lines


@given(SIDE, SIDE, st.sampled_from([(14, 3136, 12845056), (14, 3136, 400_000), (16, 65536, 16777216)]))
def test_qwens_sizes_are_its_processors(width: int, height: int, kind: tuple[int, int, int]) -> None:
    patch, least, most = kind
    sight = native(width, height, patch=patch, merge=2, least=least, most=most, window=None)
    high, wide = smart_resize(height, width, 2 * patch, least, most)
    assert sight.patches == high // patch * (wide // patch)
    assert 4 * sight.tokens == sight.patches


@given(st.integers(20, 1200), st.integers(20, 1200))
def test_qwens_windows_are_its_own(width: int, height: int) -> None:
    sight = native(width, height, patch=14, merge=2, least=3136, most=12845056, window=112)
    high, wide = smart_resize(height, width, 28, 3136, 12845056)
    grid = torch.tensor([[1, high // 14, wide // 14]])
    _, edges = get_vision_window_index(grid, 2, 112, 14)
    assert list(sight.windows) == [n for n in np.diff(edges).tolist() if n]


def test_a_ribbon_is_refused_as_qwens_processor_does() -> None:
    with pytest.raises(InputError, match="too narrow"):
        model_named("qwen2-vl-7b").sight(10_000, 10)


@pytest.mark.parametrize(
    ("name", "views", "tokens"),
    [
        ("llava-1.5-7b", 1, 576),
        ("llava-v1.6-mistral-7b", 5, 576 + 48 * 49),
        ("blip2-opt-2.7b", 1, 32),
        ("qwen2.5-vl-7b", 1, 18 * 18),
        ("qwen3-vl-4b", 1, 16 * 16),
        ("smolvlm-256m", 17, 17 * 64),
    ],
)
def test_a_square_of_512_pixels(name: str, views: int, tokens: int) -> None:
    sight = model_named(name).sight(512, 512)
    assert (sight.views, sight.tokens) == (views, tokens)
    assert math.isqrt(sight.patches) ** 2 == sight.patches
