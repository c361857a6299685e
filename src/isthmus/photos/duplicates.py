"""Duplicates: photos that are the same picture in another size, quality, format or by a small crop, in groups.

Nothing is deleted: what is shown is which one of a group has the most to keep. Notation: N photos.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.alike import unlike
from isthmus.photos.hits import Folders, Hit, hits
from isthmus.photos.matrix import load_matrix
from isthmus.photos.prints import SIDE, VERSION, apart, words
from isthmus.photos.ranking import Best
from isthmus.photos.store import Library

RADIUS = 12
"""Bits in which the prints of one picture differ at most. All are chosen with benchmarks/near_duplicates.py."""

UNLIKE = 0.35
"""Deviations by which its small grey versions differ at most, where they differ most (`alike.unlike`)."""

COSINE = 0.8
"""Of the model's vectors of one picture, at least."""

STRETCH = 1.06
"""Between the aspect ratios of one picture, at most: a small crop may be of one side alone."""


@dataclass(frozen=True)
class Thresholds:
    radius: int = RADIUS
    unlike: float = UNLIKE
    cosine: float = COSINE
    stretch: float = STRETCH


@dataclass(frozen=True)
class Duplicate:
    """A photo of a group. `paths`: its files, equal byte for byte, those that are there now first. `bytes`: of one of
    them. `bits` and `cosine`: how far its print, and how near its vector, is to those of the one to keep; None for
    that one, and where a vector is missing."""

    photo: int
    paths: tuple[str, ...]
    width: int
    height: int
    bytes: int
    available: bool
    bits: int | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class Group:
    """`keep` has the most pixels, of equals the most bytes. Without `others` it is one photo in several files."""

    keep: Duplicate
    others: tuple[Duplicate, ...]

    @property
    def spare(self) -> int:
        """Bytes of all files but one of the photo to keep."""
        return sum(len(each.paths) * each.bytes for each in (self.keep, *self.others)) - self.keep.bytes


@dataclass(frozen=True)
class Duplicates:
    """`groups`: those that would spare most first. `photos`: in the library; `unprinted`: those of them that were not
    compared, for an older Isthmus indexed them."""

    groups: tuple[Group, ...]
    photos: int
    unprinted: int


@dataclass(frozen=True)
class Photos:
    """ids [N] int64; prints [N] uint64; greys [N, S, S] uint8; ratios [N] float64, width by height; rows [N] int64,
    where in `vectors` [M, dim] each one's vector is, -1 for none. In the order in which one would rather keep them."""

    ids: NDArray[np.int64]
    prints: NDArray[np.uint64]
    greys: NDArray[np.uint8]
    ratios: NDArray[np.float64]
    rows: NDArray[np.int64]
    vectors: NDArray[np.float16]


@dataclass(frozen=True)
class Star:
    """Rows of photos: one to keep and those that are near it, each with bits and cosine (NaN: not known)."""

    centre: int
    others: tuple[tuple[int, int, float], ...]


_Member = tuple[int, int | None, float | None]
"""Photo, bits, cosine."""


def find_duplicates(library: Library, thresholds: Thresholds | None = None) -> Duplicates:
    """All groups of photos that have files. A photo in several equal files is a group too. Raises CorruptLibrary."""
    photos = load_photos(library)
    # Every photo that has a file: bytes of one, and how many there are.
    files = {
        photo: (size, count)
        for photo, size, count in library.query(
            """SELECT photo, max(size), count(*) FROM files WHERE photo IS NOT NULL AND gone_at IS NULL
            GROUP BY photo"""
        )
    }
    groups: list[list[_Member]] = []
    for star in stars(photos, thresholds or Thresholds()):
        groups.append([(int(photos.ids[star.centre]), None, None)])
        groups[-1] += [(int(photos.ids[row]), bits, _or_none(cosine)) for row, bits, cosine in star.others]
    grouped = {photo for group in groups for photo, *_ in group}
    groups += [[(photo, None, None)] for photo, (_, count) in files.items() if count > 1 and photo not in grouped]
    wanted = [photo for group in groups for photo, *_ in group]
    best = Best(np.array(wanted, np.int64))
    there = {hit.photo: hit for hit in hits(library, Folders(library), best, 1) if hit is not None}
    found = []
    for (keep, *_), *others in groups:
        if keep not in there:  # it went since the last indexing: the next one tells which is to be kept instead
            continue
        group = Group(
            _shown(there[keep], files[keep][0]),
            tuple(_shown(there[at], files[at][0], bits, cosine) for at, bits, cosine in others if at in there),
        )
        if group.others or len(group.keep.paths) > 1:
            found.append(group)
    found.sort(key=lambda group: (-group.spare, group.keep.paths))
    printed = {photo for (photo,) in library.query("SELECT photo FROM prints WHERE version >= ?", (VERSION,))}
    return Duplicates(tuple(found), len(files), len(files.keys() - printed))


def load_photos(library: Library) -> Photos:
    """Those that have files and a print, with the vectors of the model last indexed with."""
    found = library.query(
        """SELECT p.id, p.width, p.height, r.dhash, r.grey FROM photos p JOIN prints r ON r.photo = p.id
        JOIN files f ON f.photo = p.id
        WHERE f.gone_at IS NULL AND r.dhash IS NOT NULL AND r.version = ?
        GROUP BY p.id ORDER BY p.width * p.height DESC, max(f.size) DESC, p.id""",
        (VERSION,),
    )
    ids = np.array([photo for photo, *_ in found], np.int64)
    ratios = np.array([width / height for _, width, height, *_ in found], np.float64)
    bits = words([dhash for *_, dhash, _ in found])
    greys = np.frombuffer(b"".join(grey for *_, grey in found), np.uint8).reshape(-1, SIDE, SIDE)
    models = library.models()
    if not models:
        return Photos(ids, bits, greys, ratios, np.full(len(ids), -1), np.empty((0, 1), np.float16))
    matrix = load_matrix(library, models[0])
    order = np.argsort(matrix.photos)
    at = np.searchsorted(matrix.photos, ids, sorter=order).clip(max=max(len(order) - 1, 0))
    rows = order[at] if len(order) else np.zeros(len(ids), np.int64)
    rows = np.where(matrix.photos[rows] == ids, rows, -1) if len(order) else rows - 1
    return Photos(ids, bits, greys, ratios, rows.astype(np.int64), matrix.vectors)


def stars(photos: Photos, thresholds: Thresholds) -> list[Star]:
    """Groups of two and more. Each photo, in order, takes those behind it that are near it and not yet taken.

    So all of a group are near the one to keep, and a chain of pictures each like the next does not become one group.
    O(N^2) in single instructions on 64 bits, row by row: memory is that of N.
    """
    free = np.ones(len(photos.ids), np.bool_)
    found = []
    for centre in range(len(photos.ids)):
        if not free[centre]:
            continue
        bits = apart(photos.prints[centre], photos.prints[centre + 1 :])
        near = centre + 1 + np.flatnonzero(bits <= thresholds.radius)
        if not len(near):
            continue
        ratio = photos.ratios[near] / photos.ratios[centre]
        near = near[free[near] & (np.maximum(ratio, 1 / ratio) <= thresholds.stretch)]
        if len(near):
            near = near[unlike(photos.greys[centre], photos.greys[near]) <= thresholds.unlike]
        cosines = _cosines(photos, centre, near)
        keep = ~(cosines < thresholds.cosine)  # one that is not known stands in nobody's way
        near, cosines = near[keep], cosines[keep]
        if len(near):
            free[near] = False
            others = zip(near.tolist(), bits[near - centre - 1].tolist(), cosines.tolist(), strict=True)
            found.append(Star(centre, tuple(others)))
    return found


def _cosines(photos: Photos, centre: int, others: NDArray[np.int64]) -> NDArray[np.float32]:
    """[N], NaN where one of the two has no vector."""
    cosines = np.full(len(others), np.nan, np.float32)
    rows = photos.rows[others]
    if photos.rows[centre] >= 0:
        vector = photos.vectors[photos.rows[centre]].astype(np.float32)
        cosines[rows >= 0] = photos.vectors[rows[rows >= 0]].astype(np.float32) @ vector
    return cosines


def _or_none(cosine: float) -> float | None:
    return None if np.isnan(cosine) else round(cosine, 4)


def _shown(hit: Hit, size: int, bits: int | None = None, cosine: float | None = None) -> Duplicate:
    paths = (hit.path, *hit.copies)
    return Duplicate(hit.photo, paths, hit.width, hit.height, size, hit.available, bits, cosine)
