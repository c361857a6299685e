"""Indexing past one machine: files are read, decoded and seen by the model on a Ray cluster, and saved here.

Every machine must reach the photos under the same paths (a network drive, say) and have Isthmus installed. This process
holds the library, walks the folders and writes; what travels are paths there and vectors back.
Source: Ray Data's batch inference, https://docs.ray.io/en/latest/data/batch_inference.html
"""

import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, IsthmusError, MissingPart
from isthmus.photos.catalogue import Pending
from isthmus.photos.read import Decoded, Reader, Twin
from isthmus.photos.source import NotThere, Opener, Source
from isthmus.photos.store import Library, Model, Outcome
from isthmus.photos.through import Cut, Seen

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder

AT_ONCE = 20_000
"""Files sent out together. Workers load the model anew for each such lot, which takes them minutes to see."""

Rows = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster: the one that RAY_ADDRESS names, else this machine's processors.

    `load` gives the model on a worker; it must be the one with this `fingerprint`. `batch`: pictures through it at
    once. Raises MissingPart where the extra `ray` is not installed.
    """

    load: "Callable[[], Embedder]"
    fingerprint: str
    batch: int = 16

    def __post_init__(self) -> None:
        _started()

    def read(
        self, files: Iterable[Pending], library: Library, model: Model, stop: Callable[[], bool]
    ) -> Iterator[Outcome | Twin]:
        """What became of each file, as `Reader` has it and with its vector, in the order of files."""
        source = iter(files)
        while not stop() and (some := list(islice(source, AT_ONCE))):
            known = _Known(dict(_seen(library, model)), library.printed())
            yield from self._over(some, _ReadFiles, {"known": known}, self.batch)

    def see(self, source: Source, photos: Sequence[int], cut: Cut, stop: Callable[[], bool]) -> Iterator[Seen]:
        """What the model makes of photos of the library, in their order."""
        for start in range(0, len(photos), AT_ONCE):
            if stop():
                return
            some = [(photo, *source.where(photo)) for photo in photos[start : start + AT_ONCE]]
            yield from self._over(some, _SeePhotos, {"cut": cut}, self.batch)

    def _over(self, items: Sequence[object], work: type, more: Mapping[str, object], batch: int) -> Iterator[Any]:
        import ray

        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = int(resources.get("GPU", 0))
        workers = max(1, min(gpus or int(resources.get("CPU", 1)), -(-len(items) // batch)))
        rows = ray.data.from_items(
            [{"item": pickle.dumps(item)} for item in items], override_num_blocks=-(-len(items) // batch)
        )
        done = rows.map_batches(
            work,
            batch_size=batch,
            fn_constructor_kwargs={"load": self.load, "fingerprint": self.fingerprint, **more},
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
            num_cpus=1,
            num_gpus=1 if gpus else None,
        )
        for row in done.iter_rows():
            found = pickle.loads(row["item"])
            if isinstance(found, _Refused):
                raise InputError(
                    "a machine of the cluster has not the same model",
                    why=found.why,
                    todo="install the same model and the same Isthmus everywhere",
                )
            yield found


@dataclass(frozen=True)
class _Known:
    """What the library had when the lot was sent out."""

    shapes: Mapping[bytes, tuple[int, int]]
    printed: frozenset[bytes]


@dataclass(frozen=True)
class _Refused:
    """Instead of a result: a worker's complaint, which Ray would take for a failure and try again."""

    why: str


class _Worker:
    """An actor with the model, on one processor."""

    def __init__(self, load: "Callable[[], Embedder]", fingerprint: str) -> None:
        import torch

        torch.set_num_threads(1)
        self.refused: _Refused | None = None
        try:
            self.embedder = load()
            if self.embedder.fingerprint != fingerprint:
                self.refused = _Refused(f"{self.embedder.fingerprint[:12]} instead of {fingerprint[:12]}")
        except IsthmusError as error:
            self.refused = _Refused(str(error))

    def __call__(self, rows: Rows) -> Rows:
        if self.refused is not None:
            found: list[Any] = [self.refused] * len(rows["item"])
        else:
            found = self.work([pickle.loads(item) for item in rows["item"]])
        return {"item": [pickle.dumps(each) for each in found]}

    def work(self, items: list[Any]) -> list[Any]:
        raise NotImplementedError

    def vectors(self, views: list[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.embedder.images(views).float().cpu().numpy()
        return found


class _ReadFiles(_Worker):
    def __init__(self, load: "Callable[[], Embedder]", fingerprint: str, known: _Known) -> None:
        super().__init__(load, fingerprint)
        if self.refused is None:
            self.reader = Reader(self.embedder.fit, known.shapes.get, known.printed.__contains__)

    def work(self, items: list[Pending]) -> list[Outcome | Twin]:
        found: list[Outcome | Twin | Decoded] = [self.reader.read(each) for each in items]
        decoded = [each for each in found if isinstance(each, Decoded)]
        vectors = iter(self.vectors([each.views for each in decoded]) if decoded else ())
        outcomes = [each.seen(next(vectors)) if isinstance(each, Decoded) else each for each in found]
        for each in decoded:
            self.reader.release(each.known.hash)
        return outcomes


class _SeePhotos(_Worker):
    def __init__(self, load: "Callable[[], Embedder]", fingerprint: str, cut: Cut) -> None:
        super().__init__(load, fingerprint)
        self.cut, self.opener = cut, Opener()

    def work(self, items: list[tuple[int, bytes, list[bytes]]]) -> list[Seen]:
        return [self._see(*each) for each in items]

    def _see(self, photo: int, hash: bytes, files: list[bytes]) -> Seen:
        try:
            picture = self.opener.picture(hash, files, self.cut.at_least(self.embedder.fit))
            return Seen(photo, self.vectors(list(self.cut.views(picture, self.embedder.fit))))
        except NotThere as error:
            return Seen(photo, reason=error.reason)
        except Exception as error:  # noqa: BLE001 - one photo's trouble, and listed as such
            return Seen(photo, reason=f"error: {type(error).__name__}")


def _seen(library: Library, model: Model) -> Iterator[tuple[bytes, tuple[int, int]]]:
    for hash, width, height in library.query(
        "SELECT p.hash, p.width, p.height FROM photos p JOIN vectors v ON v.photo = p.id WHERE v.model = ?",
        (model.id,),
    ):
        yield hash, (width, height)


def _started() -> None:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what it remarks on is not the user's to mend
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingPart("a cluster needs Ray", why=str(error), todo="pip install 'isthmus[ray]'") from None
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = False  # ours says it
    settings.execution_options.preserve_order = True
    settings.execution_options.verbose_progress = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
