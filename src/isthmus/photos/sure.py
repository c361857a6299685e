"""The honest cut-off: which photos surely show what is asked for, judged against a thousand other things.

A threshold on the cosine fails, since words and photos differ in how near they are to everything. So a photo is held
against many texts at once: it surely shows the words if few of a thousand other things are nearer to it than they
are. The things are ImageNet's classes, by name; what a photo shows beside them, they leave to the words.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.contrastive.words import WordsFirst, text_vectors
from isthmus.photos.derived import keep_file

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder

NEARER = 5
"""Surely shown: fewer of the other things are nearer. Chosen on the dev side of benchmarks/photo_library, see
docs/photos.md; a rank, so that it means the same for every model."""
ROUNDING = 1e-5
"""Of a cosine: a text that says the same is no nearer."""
CENTRED = 0.7
"""Of the mean text. Chosen on the dev side of benchmarks/photo_library: .5 to 1 were alike, and better than 0."""
BATCH = 64
BLOCK = 512
"""Rows whose bars are worked out at once."""


@dataclass(frozen=True)
class Background:
    """vectors [B, D] float32, unit length: the texts that the words are held against."""

    vectors: NDArray[np.float32]

    @cached_property
    def centre(self) -> NDArray[np.float32]:
        """[D]: what texts have in common, as much of it as is taken out of each."""
        mean: NDArray[np.float32] = CENTRED * self.vectors.mean(0)
        return mean

    def centred(self, words: NDArray[np.float32]) -> "Centred":
        """words [D], unit length. Photos that are near to every text are thus no nearer to these words for it."""
        rest = words - self.centre
        length = float(np.linalg.norm(rest))
        return Centred(words, 1.0, 0.0) if length < 1e-3 else Centred(rest / np.float32(length), length, 1.0)

    def bars(self, views: NDArray[np.float16]) -> NDArray[np.float32]:
        """views [M, D] -> [M, 2]: the NEARER-th highest cosine of the texts, which words must reach, and the cosine,
        so to say, of `centre`."""
        wide = views.astype(np.float32)
        nearest = np.partition(wide @ self.vectors.T, -NEARER, axis=1)[:, -NEARER]
        return np.stack([nearest, wide @ self.centre], axis=1)


class Bars:
    """Of the N rows of a matrix; each is worked out when it is first asked for, and kept, for words play no part in it.

    Safe from any thread: what two work out at once is the same.
    """

    def __init__(self, background: Background, count: int) -> None:
        self._background = background
        self._known = np.full((count, 2), np.nan, np.float32)

    def surely(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.float32],
        words: "Centred",
        take: Callable[[NDArray[np.int64]], NDArray[np.float16]],
    ) -> NDArray[np.bool_]:
        """rows [M], scores [M] of the words -> [M]: whether each surely shows the words. `take` gives rows' vectors."""
        unknown = rows[np.isnan(self._known[rows, 0])]
        for at in range(0, len(unknown), BLOCK):
            part = unknown[at : at + BLOCK]
            self._known[part] = self._background.bars(take(part))
        nearest, common = self._known[rows].T
        found: NDArray[np.bool_] = (nearest - words.share * common) / words.length <= scores + ROUNDING
        return found


@dataclass(frozen=True)
class Centred:
    """A text without what texts have in common: `vector` [D], unit length; `length` it had before it was made so;
    `share` of the centre that was taken out."""

    vector: NDArray[np.float32]
    length: float = 1.0
    share: float = 0.0


def load_background(folder: Path, embedder: "Embedder | WordsFirst") -> Background:
    """The texts' vectors, kept in the library's folder, for a slow model takes seconds over them. A folder that cannot
    be written is no obstacle."""
    texts = _texts()
    key = hashlib.sha256("\n".join((embedder.fingerprint, *texts)).encode()).hexdigest()
    path = folder / f"background-{key[:16]}.f32"
    size = len(texts) * embedder.dim * 4
    try:
        kept = path.read_bytes()
        if len(kept) == size + 32 and hashlib.sha256(kept[32:]).digest() == kept[:32]:
            return Background(np.frombuffer(kept[32:], "<f4").reshape(len(texts), embedder.dim))
    except OSError:
        pass
    rows = [text_vectors(embedder, texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
    vectors = np.concatenate(rows).astype("<f4")
    data = vectors.tobytes()
    keep_file(path, hashlib.sha256(data).digest() + data)
    return Background(vectors)


def _texts() -> list[str]:
    from isthmus.vision.imagenet import imagenet_classes

    return [each.names[0] for each in imagenet_classes()]
