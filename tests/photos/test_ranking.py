"""The order of all photos: exact at the top, by fp16 scores further down, each photo once and by its nearest part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.photos import ranking
from isthmus.photos.ranking import ByWords
from isthmus.photos.scan import ROUNDING, Scan


def unit(random: np.random.Generator, *shape: int) -> np.ndarray:
    rows = random.standard_normal(shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([0, 3, 10_000]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_order_of_all_is_that_of_the_nearest_parts(seed: int, n: int, exact: int, closer: bool) -> None:
    random = np.random.default_rng(seed)
    photos = random.permutation(np.arange(1, n + 1)) * 7  # ids in no order
    whole, regions = unit(random, n, 24).astype(np.float16), unit(random, n, 5, 24).astype(np.float16)
    query = unit(random, 24)
    has = random.random(n) < 0.7  # of the others the regions were not seen yet
    keep = random.random(n) < 0.8
    closer_photos = np.repeat(photos[has], 5)
    order = ByWords(
        Scan.of(whole, query, keep),
        photos,
        Scan.of(regions[has].reshape(-1, 24), query, np.repeat(keep[has], 5)) if closer else None,
        closer_photos if closer else None,
    )
    scores = {}
    for at in np.flatnonzero(keep):
        views = [whole[at], *(regions[at] if has[at] and closer else ())]
        scores[int(photos[at])] = [float(view.astype(np.float32) @ query) for view in views]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "EXACT", exact)
        best = order.first(n + 5)
    assert best.scores is not None
    assert best.parts is not None
    assert best.rows is not None
    assert sorted(best.photos.tolist()) == sorted(scores)
    for photo, score, part, row in zip(best.photos.tolist(), best.scores, best.parts, best.rows, strict=True):
        assert score == pytest.approx(max(scores[photo]), abs=2 * ROUNDING)
        assert scores[photo][part + 1] == pytest.approx(max(scores[photo]), abs=2 * ROUNDING)
        assert (closer_photos if part >= 0 else photos)[row] == photo
    falls = np.diff(best.scores)
    assert (falls <= 2 * ROUNDING).all()
    assert (falls[: max(0, min(exact, len(falls)) - 1)] <= 0).all()
