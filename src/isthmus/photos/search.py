"""A sentence finds photos: its conditions say which may be shown at all, and its words, as a vector, in which order.

Filter first, then compare every vector that is left, exactly. `search` answers one sentence; a `Searcher` answers many
and keeps what it has read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError
from isthmus.photos.blend import Like, terms, vector_of
from isthmus.photos.derived import Kept
from isthmus.photos.facts import Facts, Mask, load_facts
from isthmus.photos.filter import CONDITIONS, fitting
from isthmus.photos.gloss import Gloss, gloss
from isthmus.photos.hits import Folders, Hit, hits
from isthmus.photos.look import Look
from isthmus.photos.matrix import Matrix, load_matrix
from isthmus.photos.query import Camera, Name, Query, Vocabulary, parse, without
from isthmus.photos.query.fold import is_han
from isthmus.photos.ranking import Best, ByWords, HeadFirst, Ranking
from isthmus.photos.said import saying
from isthmus.photos.store import Library, Model
from isthmus.photos.sure import Background, Bars, load_background

if TYPE_CHECKING:  # the embedder brings torch, which the command line loads only when it is needed
    from isthmus.contrastive.embedder import Embedder
    from isthmus.contrastive.words import WordsFirst
    from isthmus.photos.lance import LanceRows, LanceVectors

PAGE = 10
"""Results where neither the caller nor the sentence says how many."""


@dataclass(frozen=True)
class Found:
    """What a sentence was read as, and what was found. `fitting`: photos that satisfy its conditions, of `photos` in
    the library; where none does, `without` has for each condition, by its place among the chips, how many would if it
    were taken off (where any would). `gloss`: what Chinese words were taken for, where the model reads no Chinese.
    `sure`: how many photos surely show the words (`sure.py`); they come first. None where there are no words."""

    query: Query
    hits: tuple[Hit, ...]
    fitting: int
    photos: int
    without: tuple[tuple[int, int], ...] = ()
    gloss: Gloss | None = None
    sure: int | None = None


def search(
    library: Library,
    embedder: "Embedder | WordsFirst | None",
    query: str | Query,
    top: int | None = None,
    *,
    like: Sequence[Like] = (),
    now: datetime | None = None,
) -> Found:
    """The photos that satisfy the conditions of a sentence, those nearest to its words first; without words the newest.

    Words may be a sum, "a beach + sunset - people" (`blend.py`), to which `like` adds pictures; with pictures the
    sentence may be empty, and nothing is said to be sure.

    `top`: how many at most (None: as many as the sentence says, else 10). `now`: naive local time, what "yesterday" is
    counted from (None: the clock). `embedder` may be None where the query has no words, denied ones included
    (`Query.needs_model`). Where an order by time is asked for, it is that of the photos which surely
    show the words, or, where none does, of the nearest. What surely shows denied words is left out.

    Vectors of another model are never compared. Files that are gone are left out, also those that went since the
    last indexing. Raises InputError for an empty query or where the library was indexed with another model only,
    and CorruptLibrary.
    """
    return Searcher(library, embedder).search(query, top, like=like, now=now)


def vocabulary(library: Library) -> Vocabulary:
    people = library.query("SELECT value FROM tags WHERE kind = 'person' UNION SELECT name FROM names ORDER BY 1")
    cameras = library.query("SELECT DISTINCT maker, model FROM facts WHERE maker <> '' OR model <> '' ORDER BY 1, 2")
    return Vocabulary(tuple(Name(name) for (name,) in people), tuple(Camera(*each) for each in cameras))


def check_query(query: str, top: int) -> None:
    """Raises InputError for what cannot be searched for."""
    if not query.strip():
        raise InputError("the query is empty", todo='say what to look for, as in "a cup of coffee"')
    if top < 1:
        raise InputError(f"--top {top} asks for no results", todo="give 1 or more")


def model_for(library: Library, embedder: "Embedder | WordsFirst") -> Model | None:
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
        todo=f"isthmus photos model {embedder.name}" + ("" if same else f", or search with --model {last}"),
    )


class Searcher:
    """A library that is asked again and again: columns and vectors are read once, and anew where it has changed.

    Safe from any thread.
    """

    def __init__(
        self, library: Library, embedder: "Embedder | WordsFirst | None", vectors: "LanceVectors | None" = None
    ) -> None:
        """`vectors`: where they were published, instead of the library's own."""
        self.library, self.embedder, self.vectors = library, embedder, vectors
        self._turn = RLock()
        self._facts: Kept[Facts] = Kept(library)
        self._present: Kept[NDArray[np.int64]] = Kept(library)
        self._vocabulary: Kept[Vocabulary] = Kept(library)
        self._vectors: Kept[_Vectors | None] = Kept(library)
        self._texts: Background | None = None
        # The words of a query stay while its conditions are changed, and while its results are paged through.
        self._embed = lru_cache(64)(lambda words: self._background().centred(vector_of(self._needed(), words)))

    def search(
        self, query: str | Query, top: int | None = None, *, like: Sequence[Like] = (), now: datetime | None = None
    ) -> Found:
        """As the function of this name."""
        asked = self.read(query, now)
        count = asked.top or PAGE if top is None else top
        check_query(asked.sentence or ("a picture" if like else ""), count)
        ranking = self.rank(asked, like)
        found, _ = self.page(ranking, 0, count)
        return Found(asked, tuple(found), ranking.fitting, ranking.photos, ranking.without, ranking.gloss, ranking.sure)

    def read(self, query: str | Query, now: datetime | None = None) -> Query:
        """A sentence read with what the library knows: people by name, cameras."""
        if isinstance(query, Query):
            return query
        with self._turn:
            words = self._vocabulary.get(lambda: vocabulary(self.library))
        return parse(query, now or datetime.now(), vocabulary=words)

    def rank(self, query: Query, like: Sequence[Like] = ()) -> Ranking:
        """All photos that fit, in the order of the query's words and pictures, else by time.

        Raises InputError, PictureError, CorruptLibrary.
        """
        words, glossed = self._in_its_language(query.vector_text)
        look = None
        shown = bool(words or like)
        if shown and query.order == "relevance" and not any(chip.kind in CONDITIONS for chip in query.chips):
            # Nothing is asked that the columns answer: they are not gathered.
            photos = self.present()
            count = total = len(photos)
        else:
            look = Look(self.library, self.facts())
            fits = fitting(query, look.facts, named=look.named, reads=look.reads)
            photos, count, total = look.facts.photos[fits], int(fits.sum()), len(look.facts)
        without = _relaxed(query, look) if look and not count else ()
        for denied in query.negative:
            photos = photos[~np.isin(photos, self._meant(*self._in_its_language(denied), photos))]
        if not shown:
            assert look is not None
            fits = np.isin(look.facts.photos, photos)
            by_time = Best(_by_time(look.facts, fits, oldest=query.order == "oldest"))
            return Ranking(query, by_time, len(photos), total, without)
        nearest = self._nearest(words, photos, like)
        if nearest is None:
            return Ranking(query, Best(np.empty(0, np.int64)), len(photos), total, without, glossed, 0)
        # Words are held against other words; a picture has none to be held against.
        head = nearest.first(0) if like else self._head(nearest, query.vector_text, glossed, photos)
        sure = len(head.photos)
        if look and query.order != "relevance":
            # Of what is sure, and where nothing is, of the nearest.
            head = head if sure else nearest.first(query.top or PAGE)
            rows = np.searchsorted(look.facts.photos, head.photos)
            head = head.at(_order_by_time(look.facts, rows, oldest=query.order == "oldest"))
        order = HeadFirst(head, nearest)
        return Ranking(query, order, len(photos), total, without, glossed, None if like else sure)

    def page(self, ranking: Ranking, start: int, count: int) -> tuple[list[Hit], int]:
        """`count` results from place `start` (from 0) of the ranking on, and the place to go on from.

        Files that went since the last indexing are left out, and the next ones move up.
        """
        folders = Folders(self.library)
        found: list[Hit] = []
        reach, place = start + count, start
        while len(found) < count:
            best = ranking.first(reach)
            if len(best.photos) <= place:
                break
            some = hits(self.library, folders, best.at(slice(place, None)), start + len(found) + 1)
            for hit in some:
                place += 1
                if hit is not None:
                    found.append(hit)
                    if len(found) == count:
                        break
            # Some of the best were gone: look further down, twice as far each time.
            reach = 2 * reach
        return found, place

    def facts(self) -> Facts:
        with self._turn:
            return self._facts.get(lambda: load_facts(self.library))

    def present(self) -> NDArray[np.int64]:
        """The photos that have a file, ascending."""
        with self._turn:
            return self._present.get(lambda: _present(self.library))

    def _in_its_language(self, words: str) -> tuple[str, Gloss | None]:
        """The words as the model can read them, and what Chinese ones were taken for where it reads none."""
        if any(map(is_han, words)) and "zh" not in (self._needed().languages or {"zh"}):
            glossed = gloss(words)
            return glossed.text, glossed
        return words, None

    def _meant(self, words: str, glossed: Gloss | None, photos: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the photos that are sure, for `words`."""
        nearest = self._nearest(words, photos) if words else None
        if nearest is None:
            return np.empty(0, np.int64)
        return self._head(nearest, words, glossed, photos).photos

    def _head(self, nearest: ByWords, words: str, glossed: Gloss | None, photos: NDArray[np.int64]) -> Best:
        """What is sure: first the photos whose files say the words, then those that surely show them."""
        shown = nearest.sure()
        if len(terms(words)) > 1:  # no file says a sum
            return shown
        say = saying(self.library, words, glossed)
        if not len(say):
            return shown
        said = nearest.of(say[np.isin(say, photos)])
        return said.then(shown.at(~np.isin(shown.photos, said.photos)))

    def _nearest(self, words: str, photos: NDArray[np.int64], like: Sequence[Like] = ()) -> ByWords | None:
        """These photos by their nearness to words and pictures; None where the library has no vectors."""
        with self._turn:
            kept = self._vectors.get(self._load)
        if kept is None:
            return None
        centred = None if like else self._embed(words)
        query = vector_of(self._needed(), words, like) if centred is None else centred.vector
        whole, closer = kept.whole, kept.closer
        return ByWords(
            whole.scan(query, np.isin(whole.photos, photos)),
            whole.photos,
            closer.scan(query, np.isin(closer.photos, photos)) if closer else None,
            closer.photos if closer else None,
            centred,
            None if like else kept.bars,
        )

    def _background(self) -> Background:
        with self._turn:
            if self._texts is None:
                self._texts = load_background(self.library.folder, self._needed())
            return self._texts

    def _load(self) -> "_Vectors | None":
        model = model_for(self.library, self._needed())
        if model is None:
            return None
        whole: Matrix | LanceRows
        closer: Matrix | LanceRows | None
        if self.vectors is not None:
            whole, closer = self.vectors.load(self.library, model)
        else:
            whole = load_matrix(self.library, model)
            closer = load_matrix(self.library, model, "regions") if model.closer else None
        background = self._background()
        bars = Bars(background, len(whole.photos)), Bars(background, len(closer.photos)) if closer else None
        return _Vectors(whole, closer, bars)

    def _needed(self) -> "Embedder | WordsFirst":
        if self.embedder is None:
            raise ValueError("words need an embedder")
        return self.embedder


@dataclass(frozen=True)
class _Vectors:
    """Of whole photos and of regions, and what words have to reach at each."""

    whole: "Matrix | LanceRows"
    closer: "Matrix | LanceRows | None"
    bars: tuple[Bars, Bars | None]


def _present(library: Library) -> NDArray[np.int64]:
    rows = library.query("SELECT DISTINCT photo FROM files WHERE photo IS NOT NULL AND gone_at IS NULL ORDER BY photo")
    return np.array([photo for (photo,) in rows], np.int64)


def _by_time(facts: Facts, fits: Mask, *, oldest: bool) -> NDArray[np.int64]:
    rows = np.flatnonzero(fits)
    found: NDArray[np.int64] = facts.photos[rows[_order_by_time(facts, rows, oldest=oldest)]]
    return found


def _order_by_time(facts: Facts, rows: NDArray[np.int64], *, oldest: bool) -> NDArray[np.int64]:
    """Places among the rows. Photos whose time is not known come last."""
    unknown = np.isnat(facts.taken[rows])
    seconds = facts.taken[rows].astype(np.int64)
    order: NDArray[np.int64] = np.lexsort((facts.photos[rows], seconds if oldest else -seconds, unknown))
    return order


def _relaxed(query: Query, look: Look) -> tuple[tuple[int, int], ...]:
    """How many would fit without one of the conditions, where any would."""
    counts = (
        (at, int(fitting(without(query, at), look.facts, named=look.named, reads=look.reads).sum()))
        for at, chip in enumerate(query.chips)
        if chip.kind in CONDITIONS
    )
    return tuple((at, count) for at, count in counts if count)
