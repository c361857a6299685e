"""Is a model fit to serve this library? Asked of the user's own photos and words, before it takes over.

Three questions: does the model give again what is kept of a photo; does a photo find itself from a smaller part of it;
and do the words that files say of photos (titles, keywords) find them, no worse than with the model before.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.contrastive.metrics import Interval, average_precision, bootstrap
from isthmus.images.views import Box
from isthmus.photos.matrix import Matrix, load_matrix
from isthmus.photos.prints import apart, words
from isthmus.photos.regions import part_of
from isthmus.photos.scan import Scan
from isthmus.photos.source import NotThere, Source
from isthmus.photos.store import Library, Model

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder

SAMPLE = 64
"""Photos that are looked at again."""
PART = 0.8
"""Of a photo's sides: the part from which it is to find itself."""
SAME = 0.99
"""Least cosine of a vector made again and the one kept: indexing may compute in bf16 (.995 was the least seen)."""
SELF = 0.8
"""Share of photos that find themselves, at least, unless the model before did no better."""
ALIKE = 10
"""Of the 64 bits of two prints may differ, and either may be found for the other."""
TEXTS = 100
"""Titles and keywords that are asked, those of most photos first."""
COMMON = 0.2
"""Of all photos: a word of more says little about any."""


@dataclass(frozen=True)
class SelfTest:
    """`photos`: how many were looked at; `same`: the least cosine of a vector made again and the one kept; `itself`:
    share of them that were first when asked for by a part of them; `words`: mean average precision of the library's own
    titles and keywords, `texts` of them. `_before`: of the model that serves, None where it was not asked."""

    photos: int
    same: float
    itself: float
    itself_before: float | None
    texts: int
    words: float | None
    words_before: float | None
    words_lost: Interval | None

    @property
    def faults(self) -> tuple[str, ...]:
        """What speaks against the model, a line each."""
        found = []
        if self.same < SAME:
            found.append(f"of a photo it makes other numbers than are kept (cosine {self.same:.3f}, least {SAME})")
        least = SELF if self.itself_before is None else min(SELF, self.itself_before - 0.1)
        if self.itself < least:
            found.append(f"only {self.itself:.0%} of {self.photos} photos find themselves from a part of them")
        if self.words_lost is not None and self.words_lost.low > 0:
            found.append(
                f"the library's own words find less: mean average precision {self.words:.3f}, before "
                f"{self.words_before:.3f} (lost {self.words_lost.low:.3f} to {self.words_lost.high:.3f})"
            )
        return tuple(found)


def self_test(library: Library, embedder: "Embedder", before: "Embedder | None" = None) -> SelfTest:
    """Of a model whose vectors the library has. `before`: the one that serves, to compare with; None where there is
    none, or it cannot be loaded any more. Raises CorruptLibrary."""
    new = _seen(library, embedder)
    old = _seen(library, before) if before is not None else None
    shared = new.photos if old is None else np.intersect1d(new.photos, old.photos)
    sample = shared[np.unique(np.linspace(0, len(shared) - 1, min(SAMPLE, len(shared))).astype(int))]
    photos, same, itself = _look_again(library, embedder, new, sample)
    itself_before = None
    if before is not None and old is not None:
        _, _, itself_before = _look_again(library, before, old, sample)
    texts = _texts(library, shared)
    found = _precision(embedder, new, shared, texts)
    found_before = _precision(before, old, shared, texts) if before is not None and old is not None else None
    return SelfTest(
        photos,
        same,
        itself,
        itself_before,
        len(texts),
        None if found is None else float(found.mean()),
        None if found_before is None else float(found_before.mean()),
        None if found is None or found_before is None else bootstrap(found_before - found, seed=0),
    )


def _seen(library: Library, embedder: "Embedder") -> Matrix:
    model = library.model(embedder.fingerprint)
    assert isinstance(model, Model)
    return load_matrix(library, model)


def _look_again(
    library: Library, embedder: "Embedder", matrix: Matrix, sample: NDArray[np.int64]
) -> tuple[int, float, float]:
    """How many could be opened; the least cosine of a vector made again; the share found by a part of them."""
    source, rows = Source(library), dict(zip(matrix.photos.tolist(), range(len(matrix.photos)), strict=True))
    count, found, least = 0, 0, 1.0
    for photo in sample.tolist():
        try:
            picture = source.picture(photo, embedder.fit.at_least and round(embedder.fit.at_least / PART) + 1)
        except NotThere:
            continue
        gap = (1 - PART) / 2
        w, h = picture.width, picture.height
        part = part_of(picture, Box(gap * w, gap * h, (1 - gap) * w, (1 - gap) * h))
        again, by_part = embedder.images([embedder.fit(picture), embedder.fit(part)]).float().cpu().numpy()
        kept = matrix.vectors[rows[photo]].astype(np.float32)
        least = min(least, float(again @ kept))
        nearest, _ = Scan.of(matrix.vectors, by_part).best(1)
        first = int(matrix.photos[nearest[0]])
        found += photo == first or _look_alike(library, photo, first)
        count += 1
    return count, least, found / count if count else 1.0


def _look_alike(library: Library, one: int, other: int) -> bool:
    """Two photos are copies or neighbours of a burst, so that either may come first."""
    found = library.query("SELECT dhash FROM prints WHERE photo IN (?, ?) AND dhash IS NOT NULL", (one, other))
    if len(found) < 2:
        return False
    prints = words([found[0][0], found[1][0]])
    return int(apart(prints[0], prints[1:])[0]) <= ALIKE


def _texts(library: Library, photos: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """What files say in words, and the photos of each: those that tell some photos from the others."""
    known = set(photos.tolist())
    of: defaultdict[str, set[int]] = defaultdict(set)
    for text, photo in library.query(
        """SELECT lower(t.value), f.photo FROM tags t JOIN files f ON f.id = t.file
        WHERE t.kind = 'keyword' AND f.gone_at IS NULL AND f.photo IS NOT NULL
        UNION SELECT lower(s.title), f.photo FROM facts s JOIN files f ON f.id = s.file
        WHERE s.title <> '' AND f.gone_at IS NULL AND f.photo IS NOT NULL"""
    ):
        if photo in known and text.strip():
            of[text.strip()].add(photo)
    telling = [(text, found) for text, found in of.items() if len(found) <= COMMON * len(known)]
    telling.sort(key=lambda each: (-len(each[1]), each[0]))
    return {text: np.array(sorted(found), np.int64) for text, found in telling[:TEXTS]}


def _precision(
    embedder: "Embedder", matrix: Matrix, photos: NDArray[np.int64], texts: dict[str, NDArray[np.int64]]
) -> torch.Tensor | None:
    """[Q]: average precision of each text over `photos` [G]."""
    if not texts:
        return None
    rows = matrix.vectors[np.isin(matrix.photos, photos)].astype(np.float32)
    order = matrix.photos[np.isin(matrix.photos, photos)]
    scores = embedder.texts(list(texts)).float().cpu() @ torch.from_numpy(rows).T
    gain = torch.from_numpy(np.stack([np.isin(order, right) for right in texts.values()]).astype(np.float32))
    return average_precision(scores, gain)
