import numpy as np
import pytest
import torch

from isthmus.images.views import Box
from isthmus.labs.cells import CELL, LOUD, frozen_encoder
from isthmus.labs.drawn import COLOURS
from isthmus.labs.long import (
    ASPECTS,
    CROP,
    CURVES,
    KINDS,
    LETTERBOX,
    NATIVE,
    SHAPES,
    SQUASH,
    TILES,
    ask,
    fits,
    long_picture,
    where,
)

AREA = 240**2
PICTURES = [long_picture(np.random.default_rng(seed), ASPECTS[seed % 4], AREA) for seed in range(48)]


def test_pictures_have_their_aspect_ratio_both_ways_and_one_area() -> None:
    for i, drawing in enumerate(PICTURES):
        width, height = drawing.picture.width, drawing.picture.height
        assert max(width, height) == ASPECTS[i % 4] * min(width, height)
        assert width * height == pytest.approx(AREA, rel=0.02)
    assert {drawing.picture.width > drawing.picture.height for drawing in PICTURES} == {True, False}


def test_the_curve_is_a_thing_of_the_whole_picture() -> None:
    for drawing in PICTURES:
        curve = drawing.things[-1]
        assert curve.box == Box(0, 0, drawing.picture.width, drawing.picture.height)
        assert curve.text in CURVES


def test_every_question_has_its_truth() -> None:
    found, colours = ask(PICTURES), list(COLOURS)
    assert (found.num_questions, found.num_answers) == (20, 25)
    assert list(dict.fromkeys(found.kinds)) == list(KINDS)
    for row, drawing in enumerate(PICTURES):
        asked, said = found.questions[row].tolist(), found.answers[row].tolist()
        assert (asked[:3], "".join(map(str, said[:3]))) == ([0, 1, 2], drawing.written)
        long = max(drawing.picture.width, drawing.picture.height)
        for i, thing in enumerate(drawing.shapes):
            box = thing.box
            middle = (box.left + box.right) / 2 if long == drawing.picture.width else (box.top + box.bottom) / 2
            assert (asked[3 + i] - 3, said[3 + i] - 10) == (colours.index(thing.colour), int(middle / long * 8))
            ratio = (box.right - box.left) / (box.bottom - box.top)
            shape = SHAPES[said[5 + i] - 18]
            assert asked[5 + i] - 11 == colours.index(thing.colour)
            assert ratio == pytest.approx({"round": 1, "tall": 1 / 1.6, "wide": 1.6}[shape], rel=0.1)
        assert (asked[7], CURVES[said[7] - 21]) == (19, drawing.things[-1].text)


def test_fits_take_about_as_many_tokens() -> None:
    for name, fit in fits(frozen_encoder(), 192, 64).items():
        for drawing in PICTURES[:8]:
            views = fit(drawing.picture)
            tokens = len(where(views))
            assert tokens == sum(v.pixels.shape[1] // CELL * (v.pixels.shape[2] // CELL) for v in views.views)
            assert {SQUASH: 36, LETTERBOX: 36, CROP: 36}.get(name, 32) <= tokens <= {TILES: 40}.get(name, 36), name


def test_places_are_shares_of_the_picture_whatever_the_fit() -> None:
    all_fits = fits(frozen_encoder(), 192, 64)
    wide = next(d for d in PICTURES if d.picture.width == 4 * d.picture.height)
    squashed = where(all_fits[SQUASH](wide.picture))
    even = next(d for d in PICTURES if d.picture.width == d.picture.height)
    torch.testing.assert_close(squashed, where(all_fits[SQUASH](even.picture)))  # nothing tells the ratio
    assert not squashed[:, -2:].any()
    told = where(all_fits[SQUASH](wide.picture), told=True)
    assert (told[:, -1] == 2 * LOUD).all()
    torch.testing.assert_close(told[:, :-1], squashed[:, :-1])
    tiled = where(all_fits[TILES](wide.picture))
    assert tiled[:, -2].tolist() == [LOUD] * 4 + [0.0] * (len(tiled) - 4)
    native = where(all_fits[NATIVE](wide.picture))
    assert len(native.unique(dim=0)) == len(native)
