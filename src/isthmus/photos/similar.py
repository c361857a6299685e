"""More like this one: a photo's own vector is the query."""

from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.derived import Kept
from isthmus.photos.facts import Mask
from isthmus.photos.matrix import Matrix, load_matrix
from isthmus.photos.ranking import ByWords
from isthmus.photos.scan import Scan
from isthmus.photos.store import Library, Model


class Neighbours:
    """The vectors of one model, read once, and anew where the library has changed. No model is needed: the vectors are
    there. Safe from any thread.

    `model`: which one's; None where the library has none.
    """

    def __init__(self, library: Library, model: Callable[[], Model | None]) -> None:
        self._library, self._model = library, model
        self._turn = Lock()
        self._vectors: Kept[Matrix | None] = Kept(library)

    def of(self, photo: int, present: NDArray[np.int64]) -> ByWords | None:
        """All by how near they are to it, which comes first itself, among those in `present`, which are ascending; None
        where that photo has no vector.

        Raises CorruptLibrary.
        """
        matrix = self._matrix()
        if matrix is None:
            return None
        rows = np.flatnonzero(matrix.photos == photo)
        if not len(rows):
            return None
        keep: Mask = np.isin(matrix.photos, present)
        vector = matrix.vectors[rows[0]].astype(np.float32)
        return ByWords(Scan.of(matrix.vectors, vector / np.linalg.norm(vector), keep), matrix.photos)

    def _matrix(self) -> Matrix | None:
        with self._turn:
            return self._vectors.get(self._load)

    def _load(self) -> Matrix | None:
        model = self._model()
        return load_matrix(self._library, model) if model is not None else None
