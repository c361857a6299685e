"""From photos to their rows among the columns of facts."""

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.facts import Facts, Mask


def rows_of(facts: Facts, photos: NDArray[np.int64]) -> tuple[NDArray[np.int64], Mask]:
    """rows [N] of photos [N], and which of these have one: a photo that came since the columns were read has none, and
    0 in its place."""
    if not len(facts):
        return np.zeros(len(photos), np.int64), np.zeros(len(photos), bool)
    rows = np.searchsorted(facts.photos, photos).clip(max=len(facts) - 1)
    known: Mask = facts.photos[rows] == photos
    return np.where(known, rows, 0), known
