import numpy as np
import pytest
import torch

from isthmus.images.views import Views
from isthmus.labs.cells import batched, cells, frozen_encoder, square
from isthmus.labs.drawn import scene
from isthmus.labs.long import fits, long_picture
from isthmus.progress import progress
from isthmus.vision.depths import PLACE, DepthsEncoder


@pytest.fixture(scope="module")
def encoder() -> DepthsEncoder:
    return frozen_encoder()


def test_squares_have_cells_and_places(encoder: DepthsEncoder) -> None:
    scenes = [scene(np.random.default_rng(seed), side=96) for seed in range(3)]
    with progress("", 1, "", quiet=True) as bar:
        seen = square(encoder, scenes, 96, bar)
        alone = square(encoder, scenes[1:2], 96, bar)
    assert seen.shape == (3, 9, sum(encoder.split) + PLACE)
    assert seen.isfinite().all()
    torch.testing.assert_close(seen[1:2], alone, atol=0.15, rtol=0)  # bf16 rounds by the batch
    assert torch.equal(seen[0, :, -PLACE:], seen[1, :, -PLACE:])
    assert len(seen[0, :, -PLACE:].unique(dim=0)) == 9


def test_views_of_any_shape_keep_their_order_and_short_ones_are_filled_up(encoder: DepthsEncoder) -> None:
    random = np.random.default_rng(0)
    wide, even = long_picture(random, 8, 96**2 * 4), long_picture(random, 1, 96**2 * 4)
    native = fits(encoder, 96, 32)["native"]
    views = [native(wide.picture), native(even.picture)]
    assert sorted(view.views[0].pixels.shape[1:] for view in views) != [(96, 96)] * 2
    both = cells(encoder, views)
    counts = [view.views[0].pixels.shape[1] * view.views[0].pixels.shape[2] // 32**2 for view in views]
    assert both.shape[1] == max(counts) <= 9
    assert (both[0, counts[0] :] == 0).all()
    joined = cells(encoder, [Views((views[1].views[0], views[0].views[0]), 0, 0)])[0]
    torch.testing.assert_close(joined[: counts[1]], both[1, : counts[1]], atol=0.15, rtol=0)
    torch.testing.assert_close(joined[counts[1] :], both[0, : counts[0]], atol=0.15, rtol=0)


def test_batches_hold_everything_once() -> None:
    drawings = [scene(np.random.default_rng(0), side=96)] * 70
    assert [len(few) for few in batched(drawings)] == [32, 32, 6]
