"""Augmented views: what must stay whole stays whole."""

import random

import numpy as np
from PIL import Image

from isthmus.training.data.augmentation import augmented


def framed() -> Image.Image:
    """A red frame around a picture whose left half is green and whose right half is blue."""
    image = Image.new("RGBA", (60, 40), (255, 0, 0, 255))
    image.paste((0, 255, 0, 255), (4, 4, 30, 36))
    image.paste((0, 0, 255, 255), (30, 4, 56, 36))
    return image


def test_what_is_to_stay_whole_is_neither_mirrored_nor_cropped() -> None:
    for seed in range(60):
        seen = np.asarray(augmented(framed(), random.Random(seed), whole=True)).astype(int)
        channel = seen.argmax(2)
        red = (seen[..., 0] > 2 * seen[..., 1]) & (seen[..., 0] > 2 * seen[..., 2])
        rows, columns = np.where(red)
        frame = channel[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        if frame.shape != (40, 60):
            continue  # set on a red ground
        assert (frame[20, 8:28] == 1).all()
        assert (frame[20, 32:52] == 2).all()


def test_others_are_mirrored_and_cropped_now_and_then() -> None:
    views = [augmented(framed(), random.Random(seed)) for seed in range(60)]
    assert any(view.width < 60 for view in views)
    assert any(view.width > 60 for view in views)
    middle = [np.asarray(view.convert("RGB"))[view.height // 2, :].argmax(1) for view in views]
    assert any(1 in row and 2 in row and list(row).index(2) < list(row).index(1) for row in middle)
