"""Index folders: walk, read and decode in threads, embed in batches, write; can be stopped anywhere and goes on."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import InputError
from isthmus.images import raw
from isthmus.photos import paths, video
from isthmus.photos.catalogue import (
    Pending,
    Place,
    count_gone,
    count_pending,
    looks_unmounted,
    pending,
    place,
    record_walk,
    unpaired,
)
from isthmus.photos.clips import VIDEO, pair
from isthmus.photos.read import Decoded, Reader, Twin
from isthmus.photos.store import Known, Library, Model, Outcome, Unread, Vanished
from isthmus.photos.walk import walk
from isthmus.progress import Progress, progress

if TYPE_CHECKING:  # the embedder brings torch, which the command line loads only when it is needed
    from isthmus.contrastive.embedder import Embedder
    from isthmus.photos.cluster import Cluster

SAVE_AT_LEAST = 256
"""Outcomes that need no model (unread, known content) are saved at least this often."""


@dataclass
class IndexReport:
    """What one run did. Counts are of files, except `embedded`: pictures that went through the model. `again`: files
    whose content was known and that were read for what they say of it (their sidecar changed), or for its print."""

    met: int = 0
    embedded: int = 0
    known: int = 0
    again: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    left: int = 0
    seconds: float = 0.0
    stopped: bool = False
    unmounted: list[bytes] = field(default_factory=list)


def check_folders(folders: Sequence[Path]) -> None:
    """Raises InputError for the first that is not a folder which can be listed."""
    for folder in folders:
        if not folder.exists():
            raise InputError(f"there is no folder {folder}", todo="check the path")
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder", todo="name the folder it lies in")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise InputError(f"{folder} cannot be read", why="permission denied", todo="check its permissions")


def index(
    library: Library,
    folders: Sequence[Path],
    embedder: "Embedder",
    *,
    batch: int = 16,
    workers: int | None = None,
    quiet: bool = False,
    stop: Callable[[], bool] = lambda: False,
    cluster: "Cluster | None" = None,
) -> IndexReport:
    """Bring the library up to date with the folders.

    `batch`: pictures through the model at once, and the most work a kill can lose. `workers`: threads that read and
    decode (None: one per processor). `stop` is asked after every picture; once true, what is in hand is finished
    and saved. Memory does not grow with the number of files. `cluster`: where files are read and seen instead.

    Raises InputError where a folder is missing or disappears on the way (all that was done is kept), CorruptLibrary.
    """
    check_folders(folders)
    if batch < 1 or (workers is not None and workers < 1):
        raise InputError("batch and workers are counts", why=f"got {batch} and {workers}", todo="give 1 or more")
    start = time.monotonic()
    report = IndexReport()
    model = library.register(embedder.fingerprint, embedder.name, embedder.dim)
    run = _Run(library, embedder, model, batch, report)
    places = list(dict.fromkeys(place(library, folder) for folder in folders))
    # Roots may have been taken in by later ones: ask again.
    places = list(dict.fromkeys(place(library, Path(os.fsdecode(p.whole))) for p in places))
    for where in places:
        run.look_over(where, quiet, stop)
    total = sum(count_pending(library, where, model) for where in places)
    # A thread beyond the processors only holds memory; the model's own threads run beside these.
    threads = workers or os.cpu_count() or 1
    if total and not stop():
        with progress("indexing", total, "photos", quiet=quiet) as shown:
            if cluster is not None:
                run.read_there(cluster, places, shown, stop)
            # What a cluster has passed back, and all without one.
            files = ((where, file) for where in places for file in pending(library, where, model))
            run.read_all(files, run.reader.read, threads, shown, stop)
    # A video is no trouble once its still is known; of the others a picture is taken.
    moving = pair(library)
    videos = [each for where in places for each in unpaired(library, where)] if video.readable() else []
    if videos and not stop():
        with progress("videos", len(videos), "videos", quiet=quiet) as shown:
            run.read_all(iter(videos), run.reader.watch, threads, shown, stop)
        moving |= {file.id for _, file in videos}
    report.unread -= Counter({VIDEO: len(moving & run.videos)})
    report.left = sum(count_pending(library, where, model) for where in places)
    if video.readable():
        report.left += sum(len(unpaired(library, where)) for where in places)
    report.stopped = report.left > 0 and stop()
    report.seconds = time.monotonic() - start
    return report


def reader_name() -> str:
    """The software that reads pictures: when it changes, what could not be read is tried again."""
    from importlib.metadata import version

    names = ["isthmus", "pillow"] + ["rawpy"] * raw.readable() + ["av"] * video.readable()
    return ", ".join(f"{name} {version(name)}" for name in names)


class _Run:
    """One run over the folders: the window of files in flight, the batch being gathered, what waits to be saved."""

    def __init__(self, library: Library, embedder: "Embedder", model: Model, batch: int, report: IndexReport) -> None:
        self.library, self.embedder, self.model, self.batch, self.report = library, embedder, model, batch, report
        self.software = reader_name()
        self.reader = Reader(embedder.fit, lambda hash: library.has_vector(hash, model), library.has_print)
        self.ready: list[Decoded] = []  # wait for the model
        self.done: list[Outcome] = []  # wait to be saved
        self.twins: list[tuple[Place, Twin]] = []  # wait for the file with the same content
        self.again: list[tuple[Place, Pending]] = []  # must be read once more
        self.videos: set[int] = set()

    def look_over(self, where: Place, quiet: bool, stop: Callable[[], bool]) -> None:
        """Walk one folder and bring the list of files up to date."""
        gone = count_gone(self.library, where)
        avoid = frozenset({paths.real(self.library.folder)})
        found = record_walk(self.library, where, walk(where.path, where.prefix, avoid=avoid), self.software)
        with progress("looking", None, "files", quiet=quiet) as shown:
            for count in found:
                self.report.met += count
                shown.advance(count)
                if stop():  # nothing is marked gone by half a walk
                    return
        if looks_unmounted(self.library, where):
            self.report.unmounted.append(where.whole)
        self.report.gone += max(0, count_gone(self.library, where) - gone)

    def read_all(
        self,
        files: Iterator[tuple[Place, Pending]],
        read: Callable[[Pending], Decoded | Twin | Outcome],
        threads: int,
        shown: Progress,
        stop: Callable[[], bool],
    ) -> None:
        """Read the files; the results come back in order, so equal runs make equal batches."""
        in_flight: deque[tuple[Place, Future[Decoded | Twin | Outcome]]] = deque()
        # Enough to fill the next batch while the model is busy with this one; no more, so that memory is bounded.
        window = 2 * self.batch + threads
        with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
            try:
                while not stop():
                    while len(in_flight) < window and (following := next(files, None)) is not None:
                        in_flight.append((following[0], pool.submit(read, following[1])))
                    if in_flight:
                        where, future = in_flight.popleft()
                        self._take(where, future.result(), shown)
                    elif self.twins:
                        self._flush(shown)
                    else:
                        break
                    while self.again:
                        where, file = self.again.pop()
                        in_flight.append((where, pool.submit(read, file)))
                self._flush(shown)
            except InputError:
                self._flush(shown)  # a folder went away: what came from it before is good
                raise
            finally:
                for _, future in in_flight:
                    future.cancel()

    def read_there(
        self, cluster: "Cluster", places: Sequence[Place], shown: Progress, stop: Callable[[], bool]
    ) -> None:
        """What a cluster makes of every pending file, as it comes; a file whose content another one has is seen to when
        that one is saved."""
        where_of: dict[int, Place] = {}

        def files() -> Iterator[Pending]:
            for where in places:
                for file in pending(self.library, where, self.model):
                    where_of[file.id] = where
                    yield file

        for outcome in cluster.read(files(), self.library, self.model, stop):
            file = outcome.file.id if isinstance(outcome, Twin) else outcome.file
            self._take(where_of.pop(file), outcome, shown)
            if stop():
                break
        self._flush(shown)
        self.again.clear()  # they are pending still

    def _take(self, where: Place, outcome: Decoded | Twin | Outcome, shown: Progress) -> None:
        match outcome:
            case Decoded():
                self.ready.append(outcome)
            case Twin():
                self.twins.append((where, outcome))
            case Known() | Unread() | Vanished():
                if not isinstance(outcome, Known) and not paths.is_folder(where.path):
                    raise InputError(
                        f"{os.fsdecode(where.path)} went away while it was indexed",
                        todo="what was done is kept; index again when it is back",
                    )
                self._finish(outcome, shown)
        if len(self.ready) >= self.batch or len(self.done) + len(self.twins) >= SAVE_AT_LEAST:
            self._flush(shown)

    def _flush(self, shown: Progress) -> None:
        """Embed what is ready, save all that is done, then see what became of the twins."""
        hashes = [item.known.hash for item in self.ready]
        for outcome in self._embed():
            self._finish(outcome, shown)
        self.library.save(self.done, self.model, self.software)
        self.done.clear()
        for hash in hashes:
            self.reader.release(hash)
        waiting, self.twins = self.twins, []
        for where, twin in waiting:
            shape = self.library.has_vector(twin.hash, self.model)
            if shape is not None:
                self._finish(
                    Known(
                        twin.file.id, twin.hash, twin.size, twin.mtime_ns, *shape, told=twin.told, again=twin.file.again
                    ),
                    shown,
                )
            elif self.reader.is_on_the_way(twin.hash):
                self.twins.append((where, twin))
            else:  # the other one failed: this one speaks for itself
                self.again.append((where, twin.file))
        if self.done:
            self.library.save(self.done, self.model, self.software)
            self.done.clear()

    def _embed(self) -> list[Outcome]:
        if not self.ready:
            return []
        vectors = self.embedder.images([item.views for item in self.ready]).float().cpu().numpy()
        outcomes = [item.seen(vector) for item, vector in zip(self.ready, vectors, strict=True)]
        self.ready.clear()
        return outcomes

    def _finish(self, outcome: Outcome, shown: Progress) -> None:
        match outcome:
            case Known(vector=None, again=True):
                self.report.again += 1
            case Known(vector=None):
                self.report.known += 1
            case Known():
                self.report.embedded += 1
            case Unread():
                self.report.unread[outcome.reason] += 1
                if outcome.live_id is not None:
                    self.videos.add(outcome.file)
            case Vanished():
                self.report.gone += 1
        self.done.append(outcome)
        unread = self.report.unread.total() - self.report.unread[VIDEO]  # their turn comes
        shown.advance(1, f"{unread} unread" if unread else "")
