"""What is known of photos beside their vectors, a column each: the conditions of a query are held against these.

A library of 100,000 photos is a few megabytes of columns, and a condition one pass over them. Notation: N photos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.metadata import Precision
from isthmus.photos.query.model import PhotoKind

if TYPE_CHECKING:  # the library itself keeps what is gathered here
    from isthmus.photos.store import Library

BEST = """t.sidecar IS NULL, t.taken IS NULL, t.taken_from IS 'name',
    CASE t.precision WHEN 'second' THEN 0 WHEN 'day' THEN 1 WHEN 'month' THEN 2 ELSE 3 END, t.latitude IS NULL, f.id"""
"""ORDER BY of a photo's files `f` with their facts `t`: the one that counts first."""

T = TypeVar("T")
Mask = NDArray[np.bool_]
"""[N], which photos."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
KINDS: tuple[PhotoKind, ...] = get_args(PhotoKind)
"""A photo's kinds are a number: bit i stands for KINDS[i]."""


PAGE_LINES = 6
"""Lines of text from which on a photo is taken for a page. Of drawn pictures (benchmarks.text_drawn, tune) receipts had
8 to 13, signs 2 at most, posters in photos 5; screenshots, which are known by other signs, 5 to 10."""

SECOND, DAY, MONTH, YEAR = range(4)
"""How exactly it is known when a photo was taken, in the order of `metadata.Precision`."""


@dataclass(frozen=True)
class Fact:
    """Of one photo. `taken`: naive local wall time, where its precision begins; `latitude` and `longitude` in degrees;
    `code`: country and region as the gazetteer has them ("US.CA"), "" where nothing is near."""

    photo: int
    taken: datetime | None = None
    precision: Precision = "second"
    latitude: float | None = None
    longitude: float | None = None
    code: str = ""
    maker: str = ""
    model: str = ""
    kinds: frozenset[PhotoKind] = frozenset()


@dataclass(frozen=True)
class Facts:
    """photos [N] int64, ascending; taken [N] datetime64[s], NaT where it is not known; precision [N] uint8; latitude,
    longitude [N] float64, NaN likewise; code, camera [N] int32 into `codes` and `cameras` (maker, model); kinds [N]
    uint16."""

    photos: NDArray[np.int64]
    taken: NDArray[np.datetime64]
    precision: NDArray[np.uint8]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    code: NDArray[np.int32]
    codes: tuple[str, ...]
    camera: NDArray[np.int32]
    cameras: tuple[tuple[str, str], ...]
    kinds: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.photos)

    @classmethod
    def of(cls, facts: list[Fact]) -> Self:
        """In the order of the photos' numbers."""
        rows = sorted(facts, key=lambda fact: fact.photo)
        return cls.of_columns(
            [fact.photo for fact in rows],
            [fact.taken.isoformat() if fact.taken else None for fact in rows],
            [fact.precision for fact in rows],
            [fact.latitude for fact in rows],
            [fact.longitude for fact in rows],
            [fact.code for fact in rows],
            [(fact.maker, fact.model) for fact in rows],
            [bits(fact.kinds) for fact in rows],
        )

    @classmethod
    def of_columns(
        cls,
        photos: Sequence[int],
        taken: Sequence[str | None],
        precision: Sequence[Precision],
        latitude: Sequence[float | None],
        longitude: Sequence[float | None],
        code: Sequence[str],
        camera: Sequence[tuple[str, str]],
        kinds: Sequence[int],
    ) -> Self:
        """A value of each photo, these ascending; times as ISO 8601 has them."""
        codes, code_of = _numbered(code)
        cameras, camera_of = _numbered(camera)
        order = {name: place for place, name in enumerate(PRECISIONS)}
        return cls(
            np.array(photos, np.int64),
            np.array([each or "NaT" for each in taken], "datetime64[s]"),
            np.array([order[each] for each in precision], np.uint8),
            np.array(latitude, np.float64),  # None becomes NaN
            np.array(longitude, np.float64),
            code_of,
            codes,
            camera_of,
            cameras,
            np.array(kinds, np.uint16),
        )

    def are(self, kind: PhotoKind) -> Mask:
        """[N]: of this kind."""
        return np.asarray(self.kinds & bits(frozenset({kind})), bool)

    def told_time(self, photo: int) -> str | None:
        """When it was taken, ISO 8601, as exactly as it is known; None where it is not, or the photo is not here."""
        row = int(np.searchsorted(self.photos, photo))
        if row == len(self) or self.photos[row] != photo or np.isnat(self.taken[row]):
            return None
        return str(self.taken[row])[: (19, 10, 7, 4)[self.precision[row]]]

    def ends(self) -> NDArray[np.datetime64]:
        """[N]: the first second that is surely after each photo, NaT where it is not known when it was taken."""
        ends = self.taken + np.timedelta64(1, "s")
        for precision, unit in ((DAY, "D"), (MONTH, "M"), (YEAR, "Y")):
            at = self.precision == precision
            ends[at] = (self.taken[at].astype(f"datetime64[{unit}]") + 1).astype("datetime64[s]")
        return ends


@cache  # a library has a handful of different sets
def bits(kinds: frozenset[PhotoKind]) -> int:
    return sum(1 << KINDS.index(kind) for kind in kinds)


@cache
def kinds_of(number: int) -> frozenset[PhotoKind]:
    """The other way round."""
    return frozenset(kind for at, kind in enumerate(KINDS) if number >> at & 1)


def load_facts(library: "Library", photos: Sequence[int] | None = None) -> Facts:
    """Of all photos that have a file, or of these (some hundreds at most); one whose files say nothing is a row of
    unknowns.

    Of several files counts the one with a sidecar, then the one that knows the time best and from better than its
    name, then the one that knows the place, then the first. A page of text is a document, unless it is a screenshot.
    """
    rows = library.query(
        """SELECT f.photo, t.taken, t.precision, t.latitude, t.longitude, coalesce(t.code, ''), coalesce(t.maker, ''),
            coalesce(t.model, ''), coalesce(t.kinds, 0)
        FROM files f LEFT JOIN facts t ON t.file = f.id
        WHERE f.gone_at IS NULL AND """
        + ("f.photo IS NOT NULL" if photos is None else f"f.photo IN ({', '.join('?' * len(photos))})")
        + f" ORDER BY f.photo, {BEST}",
        photos or (),
    )
    # Of each photo the first row counts.
    before = [None, *(row[0] for row in rows[:-1])]
    best = [row for row, last in zip(rows, before, strict=False) if row[0] != last]
    of = list(zip(*best, strict=True)) if best else [()] * 9
    facts = Facts.of_columns(
        of[0],
        of[1],
        [each or "second" for each in of[2]],
        of[3],
        of[4],
        of[5],
        list(zip(of[6], of[7], strict=True)),
        of[8],
    )
    is_page = np.isin(facts.photos, list(pages(library, photos))) & ~facts.are("screenshot")
    facts.kinds[is_page] |= bits(frozenset({"document"}))
    return facts


def with_document(kinds: frozenset[PhotoKind], is_page: bool) -> frozenset[PhotoKind]:
    return kinds | {"document"} if is_page and "screenshot" not in kinds else kinds


def pages(library: "Library", photos: Sequence[int] | None = None) -> frozenset[int]:
    """Those in which so many lines were read; of these, where given (some hundreds at most)."""
    some = "" if photos is None else f"WHERE photo IN ({', '.join('?' * len(photos))})"
    rows = library.query(
        f"SELECT photo FROM text_lines {some} GROUP BY photo HAVING count(*) >= {PAGE_LINES}", photos or ()
    )
    return frozenset(photo for (photo,) in rows)


def _numbered(values: Sequence[T]) -> tuple[tuple[T, ...], NDArray[np.int32]]:
    """Each value once, and for each place which it is."""
    places: dict[T, int] = {}
    numbers = [places.setdefault(value, len(places)) for value in values]
    return tuple(places), np.array(numbers, np.int32)
