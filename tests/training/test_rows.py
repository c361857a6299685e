"""Rows of cut-outs show what their captions say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.training.data.rows import caption_of, in_a_row, things_of
from isthmus.training.data.sources import Sample, concept_of


def cutout(folder: Path, name: str, colour: str = "red") -> Sample:
    path = folder / f"{name}.png"
    Image.new("RGBA", (30, 20), colour).save(path)
    return Sample("stamps", path, (f"A {name}.",), concept_of(name))


@pytest.mark.parametrize("seed", range(8))
def test_a_row_shows_what_it_says_and_nothing_else(tmp_path: Path, seed: int) -> None:
    colours = {"apple": (255, 0, 0), "ball": (0, 255, 0), "car": (0, 0, 255), "dog": (255, 255, 0)}
    cutouts = [cutout(tmp_path, name, "rgb" + str(colour)) for name, colour in colours.items()]
    things = things_of(cutouts, seed)
    picture = np.asarray(in_a_row(cutouts, seed, side=120)).reshape(-1, 3)
    seen = {tuple(map(int, pixel)) for pixel in picture}
    shown = [thing.concept for thing in things]
    assert {name for name, colour in colours.items() if colour in seen} == set(shown)
    assert [name in caption_of(things) for name in colours] == [name in shown for name in colours]
    again = np.asarray(in_a_row(cutouts, seed, side=120)).reshape(-1, 3)
    assert np.array_equal(picture, again)
