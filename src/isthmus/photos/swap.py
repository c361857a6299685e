"""Another model for a library: photos go through it in the shadow, while searches use the one before; then it serves.

Nothing is lost on the way: what the models made of photos lies side by side, and which of them serves is one number in
one row. The way back is the same way.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError
from isthmus.images.views import Fit, Picture, Views
from isthmus.photos.regions import REGIONS, look_closer
from isthmus.photos.speed import indexing_threads
from isthmus.photos.store import Library, Model
from isthmus.photos.through import Cut, Passed, through_model
from isthmus.photos.update import make_ready

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.photos.cluster import Cluster


def embed_all(
    library: Library,
    embedder: "Embedder",
    *,
    batch: int = 16,
    workers: int | None = None,
    quiet: bool = False,
    stop: Callable[[], bool] = lambda: False,
    cluster: "Cluster | None" = None,
) -> Passed:
    """All photos through a model that does not serve yet, and their regions where the one that serves has seen those.

    Goes on where it was stopped or killed. `batch`: pictures at once; the rest as in `through_model`. What is counted
    are photos; those whose regions alone are missing count as left. Raises InputError, CorruptLibrary.
    """
    serving = library.models()
    model = library.register(embedder.fingerprint, embedder.name, embedder.dim, serves=False)
    with indexing_threads():
        done = through_model(
            library,
            embedder,
            partial(_waiting, library, model),
            Cut(_views, _at_least),
            partial(_save, model),
            what=embedder.name,
            batch=batch,
            workers=workers,
            quiet=quiet,
            stop=stop,
            cluster=cluster,
        )
        seen = library.model(embedder.fingerprint)
        if not stop() and serving and serving[0].closer and seen is not None and seen.generation:
            some = max(1, batch // REGIONS)
            closer = look_closer(
                library, embedder, batch=some, workers=workers, quiet=quiet, stop=stop, cluster=cluster
            )
            done.left = max(done.left, closer.left)
            done.stopped |= closer.stopped
            done.seconds += closer.seconds
    return done


def serve_with(library: Library, embedder: "Embedder") -> None:
    """From now on searches use this model; in one transaction. Raises CorruptLibrary."""
    make_ready(library, embedder)
    library.register(embedder.fingerprint, embedder.name, embedder.dim)


def named(models: Iterable[Model], name: str) -> Model:
    """The first of that name, or of a fingerprint that begins so. Raises InputError."""
    known = list(models)
    found = next((each for each in known if name in (each.name, each.fingerprint[: max(8, len(name))])), None)
    if found is None:
        names = ", ".join(each.name for each in known) or "none"
        raise InputError(f"the library has no vectors of {name}", why=f"it has: {names}", todo="check the name")
    return found


def before(library: Library) -> Model:
    """The model that served before this one. Raises InputError where none did."""
    served = [model for model in library.models() if model.generation > 0]
    used = {id for (id,) in library.query("SELECT id FROM models WHERE used_at > 0")}
    earlier = [model for model in served[1:] if model.id in used]
    if not earlier:
        raise InputError("no other model served before", todo="name one: isthmus photos model NAME")
    return earlier[0]


def forget(library: Library, model: Model) -> int:
    """Remove all that the model made of photos; how many vectors. Raises InputError for the one that serves."""
    if library.models()[0].id == model.id:
        raise InputError(f"{model.name} serves just now", todo="change to another first: isthmus photos model NAME")
    with library.transaction() as database:
        database.execute("DELETE FROM example_vectors WHERE model = ?", (model.id,))
        database.execute("DELETE FROM regions WHERE model = ?", (model.id,))
        count = database.execute("DELETE FROM vectors WHERE model = ?", (model.id,)).rowcount
        database.execute("DELETE FROM models WHERE id = ?", (model.id,))
    for path in library.folder.glob(f"*-{model.fingerprint[:16]}.f16"):
        path.unlink(missing_ok=True)
    return int(count)


def _waiting(library: Library, model: Model) -> list[int]:
    rows = library.query(
        """SELECT DISTINCT f.photo FROM files f WHERE f.photo IS NOT NULL AND f.gone_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.photo = f.photo AND v.model = ?) ORDER BY f.photo""",
        (model.id,),
    )
    return [photo for (photo,) in rows]


def _views(picture: Picture, fit: Fit) -> tuple[Views, ...]:
    return (fit(picture),)


def _at_least(fit: Fit) -> int | None:
    return fit.at_least


def _save(model: Model, database: sqlite3.Connection, photo: int, vectors: NDArray[np.float16]) -> None:
    blob = vectors[0].tobytes()
    database.execute(
        "INSERT OR IGNORE INTO vectors (photo, model, vector, crc) VALUES (?, ?, ?, ?)",
        (photo, model.id, blob, zlib.crc32(blob)),
    )
