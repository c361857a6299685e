"""What all requests share: the library, its searcher, the model that is still on its way, and the latest results."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from isthmus.contrastive.words import whole
from isthmus.errors import InputError, IsthmusError
from isthmus.images.views import Box
from isthmus.photos import naming
from isthmus.photos.blend import Like
from isthmus.photos.gloss import Gloss
from isthmus.photos.naming import Named
from isthmus.photos.pointed import PhotoPart, Shown
from isthmus.photos.query import Chip, Query
from isthmus.photos.query.model import Order as By
from isthmus.photos.query.model import Sort
from isthmus.photos.ranking import Best, Order
from isthmus.photos.search import PAGE, Searcher
from isthmus.photos.serve.asked import Asked, bounds, of_period, read, within
from isthmus.photos.serve.lookup import rows_of
from isthmus.photos.serve.thumbnails import Thumbnails
from isthmus.photos.serve.tiles import Tiles
from isthmus.photos.similar import Neighbours
from isthmus.photos.store import Library, Model

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.contrastive.words import WordsFirst

REMEMBERED = 8
"""Latest results that are kept: the timeline and the map of a query are those of its results."""

QUIET = 3.0
"""Seconds without a search, before what only later ones gain from is loaded."""

_log = logging.getLogger(__name__)

ModelState = Literal["none", "loading", "ready", "failed"]


class ModelNotReady(IsthmusError):
    """Words were asked for while the model is being loaded."""


@dataclass(frozen=True)
class Results:
    """The `count` photos that fit, in their order; made out only as far as they are asked for.

    `fitting`, `total`, `without`, `gloss`: as `search.Found` has them, before the filters of timeline and map. `sure`:
    how many from the top are surely meant, where that is known.
    """

    query: Query
    order: Order
    count: int
    fitting: int
    total: int
    sure: int | None = None
    without: tuple[tuple[int, int], ...] = ()
    gloss: Gloss | None = None

    @cached_property
    def best(self) -> Best:
        """All [N]."""
        return self.order.first(self.count)

    def first(self, k: int | None) -> Best:
        """So many at most (None: all)."""
        if k is None or k >= self.count or "best" in self.__dict__:
            return self.best.first(self.count if k is None else k)
        return self.order.first(k)

    @property
    def photos(self) -> NDArray[np.int64]:
        """[N]"""
        return self.best.photos

    def only(self, keep: NDArray[np.bool_]) -> "Results":
        """keep [N]"""
        sure = None if self.sure is None else int(keep[: self.sure].sum())
        best = self.best.at(keep)
        return replace(self, order=best, count=len(best), sure=sure)


class Engine:
    """`load` gives the model that serves, and takes its time; None where the library has no vectors. Where another
    comes to serve, it is loaded beside all else and takes over."""

    def __init__(
        self, library: Library, load: "Callable[[], Embedder | WordsFirst] | None", thumbnails: Thumbnails
    ) -> None:
        self.library, self.thumbnails = library, thumbnails
        self.searcher = Searcher(library, None)
        self.tiles = Tiles(library, thumbnails.colours)
        self.neighbours = Neighbours(library, self._model)
        self._load = load
        self._loaded = Event()
        self._failure: IsthmusError | None = None
        self._tried = ""  # the serving model's fingerprint when a model was last loaded
        self._latest: OrderedDict[object, Results] = OrderedDict()
        self._turn, self._writing = Lock(), Lock()
        self._asked_at = time.monotonic()

    def start(self) -> None:
        """Load the model beside all else: what has no words does not wait for it."""
        Thread(target=self._get_ready, name="load model", daemon=True).start()

    @property
    def model_state(self) -> tuple[ModelState, str]:
        """And what went wrong."""
        if self._failure is not None:
            return "failed", str(self._failure)
        if self._load is None:
            return "none", ""
        return ("ready" if self._loaded.is_set() else "loading"), ""

    def results(self, asked: Asked) -> Results:
        """Raises InputError for what cannot be asked, ModelNotReady, CorruptLibrary."""
        self._asked_at = time.monotonic()
        self._follow()
        area = bounds(asked.area) if asked.area else None
        query = read(self.searcher, asked)
        if query.needs_model:
            self._need_model()
        key = (query.chips, query.language, asked.order, asked.period, area, self.library.state())
        with self._turn:
            if key in self._latest:
                self._latest.move_to_end(key)
                known = self._latest[key]
                # Another sentence may mean the same.
                return known if known.query == query else replace(known, query=query)
        found = self._ranked(query, asked.order)
        if asked.period or area:
            facts = self.searcher.facts()
            rows, keep = rows_of(facts, found.photos)
            if asked.period and keep.any():
                keep &= of_period(facts, asked.period)[rows]
            if area and keep.any():
                keep &= within(facts, area)[rows]
            found = found.only(keep)
        with self._turn:
            self._latest[key] = found
            while len(self._latest) > REMEMBERED:
                self._latest.popitem(last=False)
        return found

    def alike(self, photo: int, part: Box | None = None) -> Results | None:
        """All photos by their likeness to one, or to a part of it (in shares of its sides); None where it has no
        vector. Only for a part the model is needed."""
        if part is not None:
            here = photo in self.searcher.present()
            return self.like(PhotoPart(self.library, photo, part)) if here else None
        self._follow()
        likeness = self.neighbours.of(photo, self.searcher.present())
        if likeness is None:
            return None
        return Results(self.searcher.read(""), likeness, len(likeness), len(likeness), len(likeness))

    def names(self) -> list[Named]:
        return naming.names(self.library)

    def teach(self, name: str, right: Sequence[PhotoPart], wrong: Sequence[PhotoPart]) -> Named:
        """Raises InputError, InUse where another process writes the library."""
        self._follow()
        self._need_model()
        assert self.searcher.embedder is not None
        with self._writing, Library.write(self.library.folder) as library:
            return naming.teach(library, whole(self.searcher.embedder), name, right, wrong)

    def rename(self, name: str, new: str) -> None:
        with self._writing, Library.write(self.library.folder) as library:
            naming.rename(library, name, new)

    def forget(self, name: str) -> None:
        with self._writing, Library.write(self.library.folder) as library:
            naming.forget(library, name)

    def like(self, picture: Shown) -> Results:
        """All photos by their likeness to a picture. Raises PictureError, ModelNotReady."""
        self._follow()
        self._need_model()
        asked = self.searcher.read("")
        ranking = self.searcher.rank(asked, [Like(picture)])
        return Results(asked, ranking.order, len(ranking.order), ranking.fitting, ranking.photos)

    def _ranked(self, query: Query, by: By | None) -> Results:
        asked = query if by is None else ordered(query, by)
        ranking = self.searcher.rank(asked)
        count = ranking.fitting if query.top is None else query.top
        if query.vector_text and asked.order != "relevance":
            # By time, the photos that are meant: the last of all that fit would be anything.
            count = ranking.sure or query.top or PAGE
        return Results(
            query,
            ranking.order,
            min(count, len(ranking.order)),
            ranking.fitting,
            ranking.photos,
            ranking.sure,
            ranking.without,
            ranking.gloss,
        )

    def _get_ready(self) -> None:
        # First what the first page needs; meanwhile nothing else takes the processor from it.
        with suppress(IsthmusError):  # who asks is told
            self.searcher.read("")  # compiles the grammar and loads the gazetteer
            self.tiles.of(self.searcher.facts().photos)
        if self._load is None:
            return
        try:
            self.searcher.embedder = self._load()
            self._loaded.set()
        except IsthmusError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - a thread's trouble is told on the page, not lost
            self._failure = IsthmusError("the model cannot be loaded", why=f"{type(error).__name__}: {error}")
        else:
            with suppress(IsthmusError):
                self.searcher.rank(self.searcher.read("anything"))  # maps the vectors
                # torch scans large libraries faster; while it is being imported, though, answers take a second.
                while (quiet := time.monotonic() - self._asked_at) < QUIET:
                    time.sleep(QUIET - quiet)
                whole(self.searcher.embedder)

    def _follow(self) -> None:
        """Where another model serves than the loaded one, load that. One that was asked for by name stays."""
        if self._load is None or not self._loaded.is_set() or (serving := self.library.serving()) is None:
            return
        embedder = self.searcher.embedder
        with self._turn:
            if embedder is None or serving.fingerprint in (embedder.fingerprint, self._tried):
                return
            self._tried = serving.fingerprint
        Thread(target=self._change, args=(self._load,), name="change model", daemon=True).start()

    def _change(self, load: "Callable[[], Embedder | WordsFirst]") -> None:
        try:
            embedder = load()
        except Exception:  # noqa: BLE001 - whatever it is, it costs the new model and no answer
            _log.exception("the model that serves now cannot be loaded: the one before is used on")
            return
        searcher = Searcher(self.library, embedder)
        with self._turn:  # requests on their way end with what they began with
            self.searcher, self.neighbours = searcher, Neighbours(self.library, self._model)
            self._latest.clear()

    def _need_model(self) -> None:
        state, _ = self.model_state
        if self._failure is not None:
            raise self._failure
        if state == "none":
            raise InputError("no photos are indexed yet", todo="index some with: isthmus photos index FOLDER")
        if state == "loading":
            raise ModelNotReady("the model is still being loaded", todo="ask again in a moment")

    def _model(self) -> Model | None:
        """The one whose vectors are compared: the loaded one's, else the one last indexed with."""
        embedder = self.searcher.embedder
        return self.library.serving() if embedder is None else self.library.model(embedder.fingerprint)


def ordered(query: Query, by: By) -> Query:
    """The query in another order than it asks for."""
    if not any(chip.kind == "sort" for chip in query.chips):
        return replace(query, chips=(*query.chips, Chip(Sort(by), (), by)))
    # In its place: the others keep theirs, by which they are told apart.
    chips = (replace(chip, value=Sort(by)) if chip.kind == "sort" else chip for chip in query.chips)
    return replace(query, chips=tuple(chips))
