"""A sentence finds photos: the query becomes a vector, every photo's vector is compared with it, exactly."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, IsthmusError
from isthmus.photos import paths
from isthmus.photos.matrix import load_matrix
from isthmus.photos.store import Library, Model

if TYPE_CHECKING:  # the embedder brings torch, which the command line loads only when it is needed
    from isthmus.contrastive.embedder import Embedder


@dataclass(frozen=True)
class Hit:
    """A found photo. `path` is a `str` with the system's escapes; `copies`: other files with the same content.

    `score` is the cosine of query and photo. `available` is False where the photo's folder is not there just now,
    say on a drive that is not mounted.
    """

    rank: int
    score: float
    path: str
    width: int
    height: int
    copies: tuple[str, ...] = ()
    available: bool = True


def search(library: Library, embedder: "Embedder", query: str, top: int = 10) -> list[Hit]:
    """The `top` photos nearest to the query, best first; fewer where the library has fewer.

    Vectors of another model are never compared. Files that are gone are left out, also those that went since the
    last indexing. Raises InputError for an empty query or where the library was indexed with another model only,
    and CorruptLibrary.
    """
    check_query(query, top)
    model = model_for(library, embedder)
    if model is None:
        return []
    from isthmus.photos.scan import Scan

    matrix = load_matrix(library, model)
    scan = Scan.of(matrix.vectors, embed_query(embedder, query))
    folders = _Folders(library)
    hits: list[Hit] = []
    tried, wanted = 0, top + 16
    while tried < len(matrix.photos) and len(hits) < top:
        # Some of the best may be gone: look further down, twice as far each time.
        rows, scores = scan.best(wanted)
        for row, score in zip(rows[tried:], scores[tried:], strict=True):
            hit = _hit(library, folders, int(matrix.photos[row]), float(score), len(hits) + 1)
            if hit is not None:
                hits.append(hit)
            if len(hits) == top:
                break
        tried, wanted = len(rows), 2 * wanted
    return hits


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


class _Folders:
    """The library's roots, and whether each is there now."""

    def __init__(self, library: Library) -> None:
        self.path: dict[int, bytes] = dict(library.query("SELECT id, path FROM roots"))
        self.there = {id: paths.is_folder(path) for id, path in self.path.items()}


def _hit(library: Library, folders: _Folders, photo: int, score: float, rank: int) -> Hit | None:
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
    return Hit(rank, score, first, rows[0][2], rows[0][3], tuple(others), available=bool(here))
