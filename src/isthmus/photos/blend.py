"""What is looked for, as one vector: of words, of several that are added and taken away, and of pictures.

"a beach + sunset - people": the parts' unit vectors are added with their weights, "0.5× sunset" with half. A sign
stands between spaces, so that "a t-shirt" is one part. Source: arithmetic of embeddings (Mikolov et al., 2013; of
pictures and words in one space, Kiros et al., 2014).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.contrastive.words import WordsFirst, text_vectors, whole
from isthmus.errors import InputError, IsthmusError
from isthmus.photos.pointed import Shown

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder

MOST = 100.0
"""Of a weight."""


@dataclass(frozen=True)
class Term:
    """Words and how much of them; a negative weight takes them away."""

    weight: float
    words: str


@dataclass(frozen=True)
class Like:
    """A picture, or a part of it, that is to be looked like; with a negative weight, to be unlike."""

    picture: Shown
    weight: float = 1.0


def terms(words: str) -> tuple[Term, ...]:
    """The parts of a sum. Words without a sign between spaces are one part. Raises InputError for a weight over 100."""
    found = []
    sign = 1.0
    for at, part in enumerate(_SIGN.split(words)):
        if at % 2:
            sign = -1.0 if part in "-−" else 1.0
            continue
        weight, rest = 1.0, part.strip()
        if match := _WEIGHT.match(rest):
            weight, rest = float(match[1]), rest[match.end() :]
            if weight > MOST:
                raise InputError(f"{match[0].strip()} is too much", todo=f"give a weight up to {MOST:g}")
        if rest:
            found.append(Term(sign * weight, rest))
    return tuple(found)


def vector_of(embedder: "Embedder | WordsFirst", words: str, like: Sequence[Like] = ()) -> NDArray[np.float32]:
    """[dim] float32, unit length, on the CPU, where the matrix is.

    Raises InputError or PictureError for a picture that cannot be read, IsthmusError where nothing is left of the sum.
    """
    parts = [part for part in terms(words) if part.weight]
    total = np.zeros(embedder.dim, np.float32)
    if parts:
        weights = np.array([part.weight for part in parts], np.float32)
        total += weights @ text_vectors(embedder, [part.words for part in parts])
    if like:
        weights = np.array([each.weight for each in like], np.float32)
        pictures = whole(embedder)
        views = [pictures.fit(each.picture.open_with_hash()[0]) for each in like]
        total += weights @ pictures.images(views).detach().float().cpu().numpy()
    length = float(np.linalg.norm(total))
    if not np.isfinite(length) or length < 1e-6:
        raise IsthmusError(f"{embedder.name} made no vector of the query", todo="try other words, or another --model")
    return total / np.float32(length)


_SIGN = re.compile(r"\s+([+＋−-])\s+")
_WEIGHT = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*[×x*]\s*(?=\S)", re.I)
