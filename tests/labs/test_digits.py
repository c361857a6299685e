import numpy as np
import pytest

from isthmus.labs.digits import Digits, cut, grey, halves, load_digits, on_photographs, photographs, split


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


def test_all_digits_are_there(digits: Digits) -> None:
    assert digits.pixels.shape == (1797, 8, 8)
    assert (digits.pixels.min(), digits.pixels.max()) == (0, 1)
    assert set(digits.labels) == set(range(10))


def test_split_loses_none_and_doubles_none(digits: Digits) -> None:
    numbered = Digits(digits.pixels, np.arange(len(digits)))
    training, test = split(numbered, 500, np.random.default_rng(0))
    assert len(test) == 500
    assert sorted([*training.labels, *test.labels]) == list(range(1797))
    np.testing.assert_array_equal(test.pixels, digits.pixels[test.labels])


def test_halves_share_no_pixel() -> None:
    whole = [np.arange(6 * 8).reshape(6, 8).astype(np.uint8)]
    left, right = halves(whole)
    assert not set(left[0].ravel()) & set(right[0].ravel())
    assert left[0].size + right[0].size == whole[0].size


def test_digits_stand_on_photographs(digits: Digits) -> None:
    few = digits[np.arange(20)]
    pictures = on_photographs(few, grey(photographs()), 16, np.random.default_rng(0))
    assert pictures.shape == (20, 18, 18)
    assert pictures.dtype == np.uint8
    # doubled in size, so a full pixel of ink is at its brightest around its middle
    middle = cut(pictures)[:, 3::2, 3::2][:, :6, :6]
    ink = few.pixels[:, 1:7, 1:7]
    assert middle[ink == 1].min() > 150
    assert middle[ink == 1].mean() > middle[ink == 0].mean() + 60


def test_shift_is_by_one_pixel() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 18, 18)).astype(np.uint8)
    assert cut(pictures).shape == (3, 16, 16)
    np.testing.assert_array_equal(cut(pictures, right=1)[:, :, :-1], cut(pictures)[:, :, 1:])
