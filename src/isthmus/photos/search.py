"""A sentence finds photos: its conditions say which may be shown at all, and its words, as a vector, in which order.

Filter first, then compare every vector that is left, exactly.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, IsthmusError
from isthmus.photos import paths
from isthmus.photos.facts import Facts, Mask, load_facts
from isthmus.photos.filter import CONDITIONS, fitting
from isthmus.photos.matrix import load_matrix
from isthmus.photos.query import Camera, Name, Query, Vocabulary, parse, without
from isthmus.photos.report import count_photos
from isthmus.photos.store import Library, Model

if TYPE_CHECKING:  # the embedder brings torch, which the command line loads only when it is needed
    from isthmus.contrastive.embedder import Embedder


@dataclass(frozen=True)
class Hit:
    """A found photo. `path` is a `str` with the system's escapes; `copies`: other files with the same content.

    `score` is the cosine of the query's words and the photo, None where it has none. `available` is False where the
    photo's folder is not there just now, say on a drive that is not mounted. `taken`: ISO 8601, local wall time,
    as exactly as it is known ("2018-05").
    """

    rank: int
    score: float | None
    path: str
    width: int
    height: int
    copies: tuple[str, ...] = ()
    available: bool = True
    taken: str | None = None


@dataclass(frozen=True)
class Found:
    """What a sentence was read as, and what was found. `fitting`: photos that satisfy its conditions, of `photos` in
    the library; where none does, `without` has for each condition, by its place among the chips, how many would if it
    were taken off (where any would)."""

    query: Query
    hits: tuple[Hit, ...]
    fitting: int
    photos: int
    without: tuple[tuple[int, int], ...] = ()


def search(
    library: Library,
    embedder: "Embedder | None",
    query: str | Query,
    top: int | None = None,
    *,
    now: datetime | None = None,
) -> Found:
    """The photos that satisfy the conditions of a sentence, those nearest to its words first; without words the newest.

    `top`: how many at most (None: as many as the sentence says, else 10). `now`: naive local time, what "yesterday" is
    counted from (None: the clock). `embedder` may be None where the query has no words (`Query.vector_text`). Where an
    order by time is asked for, it is that of the photos nearest to the words.

    Vectors of another model are never compared. Files that are gone are left out, also those that went since the
    last indexing. Raises InputError for an empty query or where the library was indexed with another model only,
    and CorruptLibrary.
    """
    asked = read_query(library, query, now)
    count = asked.top or 10 if top is None else top
    check_query(asked.sentence, count)
    words = asked.vector_text
    if words and not any(chip.kind in CONDITIONS for chip in asked.chips):
        # Nothing is asked that the columns answer: they are not gathered.
        look, fit = None, count_photos(library)
        ordered = _nearest(library, embedder, words)
    else:
        look = Look(library, load_facts(library))
        fits = fitting(asked, look.facts, named=look.named, reads=look.reads)
        fit = int(fits.sum())
        if words:
            ordered = _nearest(library, embedder, words, look.facts.photos[fits])
        else:
            ordered = _by_time(look.facts, fits, oldest=asked.order == "oldest")
    folders = _Folders(library)
    found = (_hit(library, folders, photo, score) for photo, score in ordered)
    hits = list(islice((hit for hit in found if hit is not None), count))
    if words and asked.order != "relevance":
        hits.sort(key=lambda hit: (hit.taken or "", hit.path), reverse=asked.order == "newest")
    numbered = tuple(replace(hit, rank=at) for at, hit in enumerate(hits, 1))
    if look is None:
        return Found(asked, numbered, fit, fit)
    return Found(asked, numbered, fit, len(look.facts), () if fit else _relaxed(asked, look))


def read_query(library: Library, query: str | Query, now: datetime | None = None) -> Query:
    """A sentence read with what the library knows: people by name, cameras."""
    if isinstance(query, Query):
        return query
    return parse(query, now or datetime.now(), vocabulary=vocabulary(library))


def vocabulary(library: Library) -> Vocabulary:
    people = library.query("SELECT DISTINCT value FROM tags WHERE kind = 'person' ORDER BY value")
    cameras = library.query("SELECT DISTINCT maker, model FROM facts WHERE maker <> '' OR model <> '' ORDER BY 1, 2")
    return Vocabulary(tuple(Name(name) for (name,) in people), tuple(Camera(*each) for each in cameras))


def check_query(query: str, top: int) -> None:
    """Raises InputError for what cannot be searched for."""
    if not query.strip():
        raise InputError("the query is empty", todo='say what to look for, as in "a cup of coffee"')
    if top < 1:
        raise InputError(f"--top {top} asks for no results", todo="give 1 or more")


def model_for(library: Library, embedder: "Embedder") -> Model | None:
    """The embedder's model in the library; None where the library holds no vectors at all. Raises InputError."""
    models = [model for model in library.models() if model.generation > 0]
    for model in models:
        if model.fingerprint == embedder.fingerprint:
            return model
    if not models:
        return None
    last = models[0].name
    same = " of another state" if last == embedder.name else ""
    raise InputError(
        f"the library was indexed with {last}{same}, not with {embedder.name}",
        why="vectors of two models cannot be compared",
        todo=f"index again with --model {embedder.name}" + ("" if same else f", or search with --model {last}"),
    )


def embed_query(embedder: "Embedder", query: str) -> NDArray[np.float32]:
    """[dim] float32, unit length, on the CPU, where the matrix is."""
    vector: NDArray[np.float32] = embedder.texts([query.strip()])[0].detach().float().cpu().numpy()
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise IsthmusError(f"{embedder.name} made no vector of the query", todo="try other words, or another --model")
    return vector / np.float32(length)


class Look:
    """Which photos show someone, or hold a text, by what their files say."""

    def __init__(self, library: Library, facts: Facts) -> None:
        self._library, self.facts = library, facts

    def named(self, name: str) -> Mask:
        return self._of("t.kind = 'person' AND lower(t.value) = lower(?)", name)

    def reads(self, text: str) -> Mask:
        """In a title, a caption or a keyword, without case."""
        said = f"%{text.translate(_LITERALLY)}%"
        titled = self._library.query(
            r"""SELECT DISTINCT f.photo FROM files f JOIN facts s ON s.file = f.id WHERE f.gone_at IS NULL
            AND (s.title LIKE ? ESCAPE '\' OR s.caption LIKE ? ESCAPE '\')""",
            (said, said),
        )
        return self._mask(titled) | self._of(r"t.kind = 'keyword' AND t.value LIKE ? ESCAPE '\'", said)

    def _of(self, condition: str, value: str) -> Mask:
        return self._mask(
            self._library.query(
                f"""SELECT DISTINCT f.photo FROM files f JOIN tags t ON t.file = f.id
                WHERE f.gone_at IS NULL AND {condition}""",
                (value,),
            )
        )

    def _mask(self, photos: Sequence[tuple[int]]) -> Mask:
        return np.isin(self.facts.photos, [photo for (photo,) in photos])


_LITERALLY = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


def _nearest(
    library: Library, embedder: "Embedder | None", words: str, fits: NDArray[np.int64] | None = None
) -> Iterator[tuple[int, float | None]]:
    """(photo, cosine), the nearest first, of those that fit; None: all, also those that are gone."""
    if embedder is None:
        raise ValueError("words need an embedder")
    model = model_for(library, embedder)
    if model is None:
        return
    from isthmus.photos.scan import Scan

    matrix = load_matrix(library, model)
    keep = None if fits is None else np.isin(matrix.photos, fits)
    scan = Scan.of(matrix.vectors, embed_query(embedder, words), keep)
    tried, wanted = 0, 64
    while tried < scan.kept:
        # Some of the best may be gone: look further down, twice as far each time.
        best, scores = scan.best(wanted)
        for row, score in zip(best[tried:], scores[tried:], strict=True):
            yield int(matrix.photos[row]), float(score)
        tried, wanted = len(best), 2 * wanted


def _by_time(facts: Facts, fits: Mask, *, oldest: bool) -> Iterator[tuple[int, float | None]]:
    """Photos whose time is not known come last."""
    rows = np.flatnonzero(fits)
    unknown = np.isnat(facts.taken[rows])
    seconds = facts.taken[rows].astype(np.int64)
    for at in np.lexsort((facts.photos[rows], seconds if oldest else -seconds, unknown)):
        yield int(facts.photos[rows[at]]), None


def _relaxed(query: Query, look: Look) -> tuple[tuple[int, int], ...]:
    """How many would fit without one of the conditions, where any would."""
    counts = (
        (at, int(fitting(without(query, at), look.facts, named=look.named, reads=look.reads).sum()))
        for at, chip in enumerate(query.chips)
        if chip.kind in CONDITIONS
    )
    return tuple((at, count) for at, count in counts if count)


class _Folders:
    """The library's roots, and whether each is there now."""

    def __init__(self, library: Library) -> None:
        self.path: dict[int, bytes] = dict(library.query("SELECT id, path FROM roots"))
        self.there = {id: paths.is_folder(path) for id, path in self.path.items()}


def _hit(library: Library, folders: _Folders, photo: int, score: float | None) -> Hit | None:
    """Its rank is still to be given."""
    rows = library.query(
        """SELECT f.root, f.path, p.width, p.height FROM files f JOIN photos p ON p.id = f.photo
        WHERE f.photo = ? AND f.gone_at IS NULL ORDER BY f.root, f.path""",
        (photo,),
    )
    here: list[str] = []
    away: list[str] = []
    for root, path, _, _ in rows:
        whole = paths.join(folders.path[root], path)
        if not folders.there[root]:
            away.append(os.fsdecode(whole))
        elif paths.is_there(whole):
            here.append(os.fsdecode(whole))
    if not here and not away:
        return None
    first, *others = here + away
    taken = load_facts(library, photo).told_time(photo)
    return Hit(0, score, first, rows[0][2], rows[0][3], tuple(others), available=bool(here), taken=taken)
