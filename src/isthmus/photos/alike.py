"""How far small grey versions of pictures differ where they differ most: prints tell scenes apart, this what moved.

A small crop shifts and stretches a picture a little, so one is compared with the other's whole and with crops of it;
another exposure scales it, so both have mean 0 and deviation 1. N: pictures, S: cells of a side (`prints.SIDE`).
"""

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.floating]
"""[..., S, S]."""

CROP = 0.03
"""Of each side, that may have been cut off: at the one end, the other, or half at both."""


def unlike(one: NDArray[np.uint8], others: NDArray[np.uint8]) -> Grey:
    """[N]: the largest difference of neighbourhoods of 2 x 2 cells between one [S, S] and others [N, S, S], in
    deviations of their grey, aligned as well as a crop of one out of the other can."""
    a: Grey = one.astype(np.float32)
    b: Grey = others.astype(np.float32)
    plain_a, plain_b = _even(a), _even(b)
    crops = _crops(one.shape[-1])
    least: Grey = np.full(len(others), np.inf)
    for down in crops:
        for across in crops:
            for x, y in ((_even(down @ a @ across.T), plain_b), (plain_a, _even(down @ b @ across.T))):
                # What of y is like x: a picture of less contrast in one place is less like it as a whole.
                like = (x * y).mean((-1, -2), keepdims=True)
                least = np.minimum(least, np.abs(_neighbourhoods(x - like * y)).max((-1, -2)))
    return least


def _even(grey: Grey) -> Grey:
    """Mean 0, deviation 1."""
    grey = grey - np.mean(grey, (-1, -2), keepdims=True)
    even: Grey = grey / np.maximum(grey.std((-1, -2), keepdims=True), 1e-6)
    return even


def _neighbourhoods(grey: Grey) -> Grey:
    """[..., S - 1, S - 1] means of 2 x 2 cells: an edge that lies a little differently is no other picture."""
    return (grey[..., :-1, :-1] + grey[..., 1:, :-1] + grey[..., :-1, 1:] + grey[..., 1:, 1:]) / 4


def _crops(side: int) -> list[Grey]:
    """[S, S] each: the cells of a side as they would be without what was cut off, between the two nearest."""
    found = []
    for start, length in ((0.0, 1.0), (0.0, 1 - CROP), (CROP / 2, 1 - CROP), (CROP, 1 - CROP)):
        at = (side * start + (np.arange(side) + 0.5) * length - 0.5).clip(0, side - 1)
        low = np.floor(at).astype(int).clip(0, side - 2)
        weights: Grey = np.zeros((side, side), np.float32)
        weights[np.arange(side), low] = 1 - (at - low)
        weights[np.arange(side), low + 1] = at - low
        found.append(weights)
    return found
