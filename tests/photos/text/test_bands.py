"""Long pictures are read in bands that show every line whole."""

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.photos.text.bands import LEAST, LONGEST, NARROW, SHARED, bands


@settings(deadline=None)
@given(st.integers(LEAST, 600), st.integers(LEAST, 600), st.integers(20, 300))
def test_every_place_is_one_bands_own_and_well_inside_it(width: int, height: int, shorter: int) -> None:
    made = list(bands(Image.new("RGB", (width, height)), shorter))
    side, length = max(min(width, height), NARROW), max(width, height)
    for at in range(length):
        middle = at + 0.5
        owners = [each for each in made if (each.owns(middle, 0.5) if width > height else each.owns(0.5, middle))]
        assert len(owners) == 1
        box = owners[0].box
        start, end = (box.left, box.right) if width > height else (box.top, box.bottom)
        margin = SHARED * side / 2 - 1
        assert start == 0 or middle - start >= margin
        assert end == length or end - middle >= margin
    for band in made:
        assert min(band.image.size) <= shorter
        assert max(band.image.size) <= (LONGEST + SHARED) * side * min(1, shorter / min(width, height)) + 2


def test_a_picture_of_a_common_shape_is_one_band() -> None:
    (band,) = bands(Image.new("RGB", (4000, 3000)), 1500)
    assert band.image.size == (2000, 1500)
    assert (band.box.right, band.box.bottom) == (4000, 3000)


def test_a_small_picture_is_not_enlarged() -> None:
    (band,) = bands(Image.new("RGB", (300, 200)), 1500)
    assert band.image.size == (300, 200)


def test_a_picture_too_narrow_for_a_letter_is_not_read() -> None:
    assert not list(bands(Image.new("RGB", (60_000, LEAST - 1)), 1500))
