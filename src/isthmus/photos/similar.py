"""More like this one: a photo's own vector is the query."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.facts import Mask
from isthmus.photos.matrix import Matrix, load_matrix
from isthmus.photos.ranking import Best
from isthmus.photos.store import Library, Model

if TYPE_CHECKING:
    from isthmus.photos.scan import Scan


@dataclass(frozen=True)
class Likeness:
    """The photos of the library by how near they are to one, which comes first itself."""

    scan: "Scan"
    photos: NDArray[np.int64]

    def first(self, k: int) -> Best:
        """The k nearest at most, nearest first."""
        rows, scores = self.scan.best(k)
        return Best(self.photos[rows], scores)


class Neighbours:
    """The vectors of one model, read once, and anew where the library has changed. No model is needed: the vectors are
    there. Safe from any thread.

    `model`: which one's; None where the library has none.
    """

    def __init__(self, library: Library, model: Callable[[], Model | None]) -> None:
        self._library, self._model = library, model
        self._turn = Lock()
        self._kept: tuple[tuple[int, int], Matrix | None] | None = None

    def of(self, photo: int, present: NDArray[np.int64]) -> Likeness | None:
        """Among the photos in `present`, which are ascending; None where that photo has no vector.

        Raises CorruptLibrary.
        """
        from isthmus.photos.scan import Scan  # brings torch, which a page that shows photos by time never needs

        matrix = self._matrix()
        if matrix is None:
            return None
        rows = np.flatnonzero(matrix.photos == photo)
        if not len(rows):
            return None
        keep: Mask = np.isin(matrix.photos, present)
        vector = matrix.vectors[rows[0]].astype(np.float32)
        return Likeness(Scan.of(matrix.vectors, vector / np.linalg.norm(vector), keep), matrix.photos)

    def _matrix(self) -> Matrix | None:
        with self._turn:
            state = self._library.state()
            if self._kept is None or self._kept[0] != state:
                model = self._model()
                self._kept = state, load_matrix(self._library, model) if model is not None else None
            return self._kept[1]
