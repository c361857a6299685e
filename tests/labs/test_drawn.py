import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.images.views import Box
from isthmus.labs.drawn import (
    CLEARANCE,
    COLOURS,
    INK,
    SHAPES,
    TEXT,
    Thing,
    draw,
    mask,
    noisy_ground,
    plain_ground,
    scatter,
    scene,
    text_size,
)  # fmt: skip

WHITE = (255, 255, 255)


@given(st.integers(0, 2**32))
def test_a_seed_is_a_picture(seed: int) -> None:
    one, other = (scene(np.random.default_rng(seed)) for _ in range(2))
    assert one.things == other.things
    np.testing.assert_array_equal(one.picture.image, other.picture.image)


@given(st.integers(0, 2**32))
def test_a_scene_holds_what_it_says(seed: int) -> None:
    found = scene(np.random.default_rng(seed), side=256, shapes=4, digits=2, most_dots=5)
    assert len({thing.what for thing in found.shapes}) == len({thing.colour for thing in found.shapes}) == 4
    assert len(found.written) == 2
    assert 1 <= found.dots <= 5
    boxes = [thing.box for thing in found.things]
    assert all(min(box.left, box.top) > 0 and max(box.right, box.bottom) < 256 for box in boxes)
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            across = max(box.left - other.right, other.left - box.right)
            down = max(box.top - other.bottom, other.top - box.bottom)
            assert max(across, down) >= CLEARANCE


@pytest.mark.parametrize("what", SHAPES)
@pytest.mark.parametrize("colour", COLOURS)
def test_ink_is_in_its_box_and_nowhere_else(what: str, colour: str) -> None:
    box = Box(10, 20, 50, 40)
    pixels = np.asarray(draw(Image.new("RGB", (64, 64), WHITE), [Thing(what, box, colour)]).picture.image)
    inked = (pixels != WHITE).any(-1)
    rows, columns = np.nonzero(inked)
    assert (rows.min() >= 20, rows.max() < 40, columns.min() >= 10, columns.max() < 50) == (True,) * 4
    assert rows.max() - rows.min() >= 17  # and fills it
    assert (pixels[inked] == COLOURS[colour]).all(-1).sum() > 100


def test_shapes_differ() -> None:
    inks = [np.asarray(mask(Thing(what, Box(0, 0, 32, 32)))) / 255 for what in SHAPES]
    for i, ink in enumerate(inks):
        assert all(np.abs(ink - other).mean() > 0.1 for other in inks[:i])


def test_writing_has_the_height_asked_for() -> None:
    width, height = text_size("0123456789", 40)
    assert height == pytest.approx(40, abs=2)
    ink = np.asarray(mask(Thing(TEXT, Box(0, 0, width, height), text="0123456789")))
    assert ink.shape == (height, width)
    assert ink[[0, -1]].max() > 0
    found = draw(Image.new("RGB", (width, height), WHITE), [Thing(TEXT, Box(0, 0, width, height), text="0123456789")])
    assert found.written == "0123456789"
    assert (np.asarray(found.picture.image) == INK).all(-1).any()


def test_cells_are_counted_row_by_row() -> None:
    thing = Thing("star", Box(60, 20, 80, 40))
    assert thing.cell(100, 100, rows=4, columns=2) == 3
    assert thing.cell(100, 100, rows=1, columns=1) == 0


def test_no_room_is_said() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        scatter(np.random.default_rng(0), 40, 40, [(20, 20)] * 3)
    with pytest.raises(ValueError, match="do not fit"):
        scatter(np.random.default_rng(0), 40, 40, [(40, 40)])


def test_grounds_are_pale_of_any_shape() -> None:
    for ground in (plain_ground, noisy_ground):
        found = ground(np.random.default_rng(0), 300, 40)
        assert found.size == (300, 40)
        assert np.asarray(found).mean() > 150
