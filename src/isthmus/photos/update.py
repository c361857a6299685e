"""Bring a library up to date: index the folders, look closer, and make ready for the first search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import InputError
from isthmus.photos.index import IndexReport, index
from isthmus.photos.matrix import load_matrix
from isthmus.photos.naming import recognise
from isthmus.photos.regions import REGIONS, look_closer
from isthmus.photos.speed import indexing_threads
from isthmus.photos.store import Library
from isthmus.photos.sure import load_background
from isthmus.photos.through import Passed

if TYPE_CHECKING:  # the embedder brings torch, which the command line loads only when it is needed
    from isthmus.contrastive.embedder import Embedder
    from isthmus.photos.cluster import Cluster


@dataclass(frozen=True)
class Updated:
    """What was done. `look`: at the regions of photos; None where that was not asked for or not come to."""

    report: IndexReport
    look: Passed | None


def update(
    library: Library,
    folders: Sequence[Path],
    embedder: "Embedder",
    *,
    batch: int = 16,
    workers: int | None = None,
    closer: bool = True,
    quiet: bool = False,
    stop: Callable[[], bool] = lambda: False,
    cluster: "Cluster | None" = None,
) -> Updated:
    """As `index`, then as `look_closer` where `closer` says so. `batch`: pictures through the model at once; `cluster`:
    where photos are read and seen instead of here.

    Raises as both do, and InputError where the library is searched with another model: it would see some photos only.
    """
    check_model(library, embedder)
    look = None
    with indexing_threads():
        report = index(
            library, folders, embedder, batch=batch, workers=workers, quiet=quiet, stop=stop, cluster=cluster
        )
        model = library.model(embedder.fingerprint)
        if closer and not stop() and model is not None and model.generation:
            photos = max(1, batch // REGIONS)
            look = look_closer(
                library, embedder, batch=photos, workers=workers, quiet=quiet, stop=stop, cluster=cluster
            )
    if report.embedded or (look and look.done) or not stop():
        make_ready(library, embedder)
    return Updated(report, look)


def check_model(library: Library, embedder: "Embedder") -> None:
    """Raises InputError where another model serves than this one."""
    serving = library.serving()
    if serving is None or serving.fingerprint == embedder.fingerprint:
        return
    same = "its state has changed since" if serving.name == embedder.name else f"not with {embedder.name}"
    raise InputError(
        f"the library is searched with {serving.name}",
        why=same,
        todo=f"change it for all photos with: isthmus photos model {embedder.name}",
    )


def make_ready(library: Library, embedder: "Embedder") -> None:
    """Write what searches with this model read, so that the first of them need not; find what is named.

    Raises CorruptLibrary.
    """
    model = library.model(embedder.fingerprint)
    if model is not None and model.generation:
        load_matrix(library, model)
        if model.closer:
            load_matrix(library, model, "regions")
        load_background(library.folder, embedder)
        recognise(library, embedder)
