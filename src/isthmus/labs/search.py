"""Lab `search`: are ten thousand photos searched in milliseconds, and what do approximate indexes lose?

Libraries of collages (see `collages`), whose content is known, as the default embedder sees them: 10,000, 100,000 and
a million of 768 numbers each. They are asked with pictures, which lie among the library's vectors, and with texts,
which lie elsewhere: indexes are mostly measured with the first, and photos are looked for with the second. Exact search
is what the photo library does; against it, a graph (HNSW) and inverted lists (IVF), over how hard they look.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import faiss
import numpy as np
import torch
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from isthmus.labs import SEARCH, plots
from isthmus.labs.collages import Studio, open_studio
from isthmus.labs.nearest import Approximate, Hnsw, Ivf, Queries, Rows, exact, flat, recall, scanned
from isthmus.labs.notes import SUFFIX, Notes
from isthmus.labs.result import Check, Figure, Finding, Result, Table
from isthmus.progress import Progress, progress

# The limits of the verdict, set before the first run.
FEW = 10_000  # photos that are searched
MILLISECONDS = 10.0  # in so many, of one core
TUNED = 0.95  # recall with pictures, up to which an index is made to look harder
LITTLE = 0.05  # recall that may be lost when texts ask instead, and be called little
AS_GOOD = 0.02  # so much fewer of the found may hold what was named
FASTER = 5.0  # times as fast as exact search, to be worth an index
FELT = 10.0  # milliseconds that are not

K = 10
Way = TypeVar("Way")
INDEXES = HNSW, IVF = "HNSW", "IVF"
SCAN, FLAT = "exact, fp16", "exact, fp32"
PICTURES, TEXTS = "pictures", "texts"


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `variants`: drawings of each stamp; `queries`: of each kind, `timed` of them one by one;
    `links` and `building` of the graph; `trained_on` rows for each list and `rounds` of k-means; the efforts."""

    photos: tuple[int, ...] = (FEW, 100_000, 1_000_000)
    stamps: int | None = None
    variants: int = 8
    compared: int = 100
    queries: int = 400
    timed: int = 30
    links: int = 32
    building: int = 100
    hnsw: tuple[int, ...] = (10, 16, 32, 64, 128, 256, 512)
    trained_on: int = 64
    rounds: int = 10
    ivf: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class At:
    """An index at one effort: recall by kind of query, milliseconds a query of texts, and the share of what it found
    for texts that holds what they name."""

    effort: int
    recall: Mapping[str, float]
    ms: float
    right: float


@dataclass(frozen=True)
class Index:
    """`size`: bytes, over those of the vectors in fp16; `seconds` to build; `efforts` from least to most."""

    size: float
    seconds: float
    efforts: tuple[At, ...]

    def reaching(self, wanted: float, kind: str) -> At:
        """At the least effort with so much recall, else at the most."""
        return next((at for at in self.efforts if at.recall[kind] >= wanted), self.efforts[-1])


@dataclass(frozen=True)
class Run:
    """One library. `exact`: milliseconds of a query by SCAN and FLAT; `right`: as of At, by exact search."""

    exact: Mapping[str, float]
    right: float
    indexes: Mapping[str, Index]

    def tuned(self, index: str, kind: str = PICTURES) -> At:
        """The index at the least effort that finds TUNED of the nearest when this kind of query asks."""
        return self.indexes[index].reaching(TUNED, kind)

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> "Run":
        indexes = {
            name: Index(each["size"], each["seconds"], tuple(At(**at) for at in each["efforts"]))
            for name, each in noted["indexes"].items()
        }
        return cls(noted["exact"], noted["right"], indexes)


Runs = Mapping[int, Sequence[Run]]
"""By photos, a run for each seed."""


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Build, ask, judge, draw. Each library is noted beside the plot."""
    notes = Notes(plot.with_suffix(SUFFIX), asdict(settings))
    runs, alike = measure(settings, seeds, notes, quiet=quiet)
    plots.save(draw(runs), plot)
    return Result(
        lab=SEARCH.name,
        claim=SEARCH.claim,
        findings=judge(runs),
        tables=(
            *tables(runs),
            Table("cosine of a put-together vector and the drawn collage's", {"": {"mean": alike}}),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=notes.spent,
    )


def tables(runs: Runs) -> tuple[Table, ...]:
    def rows(cells: Callable[[Sequence[Run]], dict[str, Figure]]) -> dict[str, dict[str, Figure]]:
        return {f"{n:,}": cells(each) for n, each in runs.items()}

    def recalls(each: Sequence[Run]) -> dict[str, Figure]:
        return {
            f"{name}, {kind}": Figure(tuple(one.tuned(name).recall[kind] for one in each))
            for name in INDEXES
            for kind in (PICTURES, TEXTS)
        }

    def right(each: Sequence[Run]) -> dict[str, Figure]:
        exactly = {"exact": Figure(tuple(one.right for one in each))}
        return exactly | {name: Figure(tuple(one.tuned(name).right for one in each)) for name in INDEXES}

    def costs(each: Sequence[Run]) -> dict[str, Figure]:
        return {f"{name}, bytes": Figure(tuple(one.indexes[name].size for one in each)) for name in INDEXES} | {
            f"{name}, minutes": Figure(tuple(one.indexes[name].seconds / 60 for one in each)) for name in INDEXES
        }

    return (
        Table("milliseconds of one query, a core", rows(times)),
        Table(f"recall of the {K} nearest, at the effort that finds {TUNED:.0%} when pictures ask", rows(recalls)),
        Table("share of what texts found that holds what they name", rows(right)),
        Table("an index: bytes over the vectors' in fp16, and minutes of one core to build it", rows(costs)),
    )


def times(runs: Sequence[Run]) -> dict[str, Figure]:
    exactly = {way: Figure(tuple(one.exact[way] for one in runs)) for way in (SCAN, FLAT)}
    return exactly | {
        f"{name}, tuned with {kind}": Figure(tuple(one.tuned(name, kind).ms for one in runs))
        for name in INDEXES
        for kind in (PICTURES, TEXTS)
    }


def judge(runs: Runs) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    few, many = min(runs), max(runs)
    larger = [(name, n) for n in runs if n > few for name in INDEXES]

    def lost(name: str, n: int) -> Check:
        found = Figure(tuple(TUNED - one.tuned(name).recall[TEXTS] for one in runs[n]))
        return Check(f"{name}, {n:,} photos: recall below {TUNED} when texts ask", found, "at most", LITTLE)

    def less_right(name: str, n: int) -> Check:
        found = Figure(tuple(one.right - one.tuned(name).right for one in runs[n]))
        return Check(f"{name}, {n:,} photos: fewer of the found that hold what was named", found, "at most", AS_GOOD)

    def faster(name: str) -> Check:
        found = Figure(tuple(one.exact[SCAN] / one.tuned(name, TEXTS).ms for one in runs[many]))
        return Check(f"{name}: exact search's time over its, tuned with texts", found, "at least", FASTER)

    def saved(name: str) -> Check:
        found = Figure(tuple(one.exact[SCAN] - one.tuned(name, TEXTS).ms for one in runs[few]))
        return Check(f"milliseconds, exact search less {name}", found, "at most", FELT)

    exactly = Figure(tuple(one.exact[SCAN] for one in runs[few]))
    return (
        Finding(
            f"{few:,} photos are searched in milliseconds", (Check("exact search", exactly, "at most", MILLISECONDS),)
        ),
        Finding(
            "approximate indexes, tuned as usual, cost little accuracy when texts ask",
            tuple(lost(*each) for each in larger),
        ),
        Finding("what they find is as often right", tuple(less_right(*each) for each in larger), core=False),
        Finding(f"of {many:,} photos they are worth it", tuple(faster(name) for name in INDEXES), core=False),
        Finding(f"of {few:,} photos nobody feels them", tuple(saved(name) for name in INDEXES), core=False),
    )


def measure(
    settings: Settings, seeds: Sequence[int], notes: Notes | None = None, *, quiet: bool
) -> tuple[Runs, Figure]:
    """Every library with every seed; and how near put-together vectors come to drawn collages'."""
    notes = notes or Notes()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    found: dict[int, list[Run]] = {n: [] for n in settings.photos}
    alike = []
    tiles = 1_000 * settings.variants
    work = tiles + len(seeds) * (max(settings.photos) + 2 * sum(settings.photos))
    try:
        with progress("search", work, "tiles and vectors", quiet=quiet) as bar:
            studio = open_studio(settings.variants, bar, most=settings.stamps)
            for seed in seeds:
                library = _Library(studio, settings, seed, bar)
                alike.append(notes.once(library.alike, "alike", seed))
                for n in settings.photos:
                    found[n].append(Run.of(notes.once(partial(library.run, n), n, seed)))
                    bar.advance(note=f"{n:,} photos, seed {seed}")
    finally:
        faiss.omp_set_num_threads(threads)
    return found, Figure(tuple(alike))


class _Library:
    """One seed's collages; smaller libraries are the beginning of larger ones. Vectors are made when first needed."""

    def __init__(self, studio: Studio, settings: Settings, seed: int, bar: Progress) -> None:
        self.studio, self.settings, self.seed, self.bar = studio, settings, seed, bar
        self.random = np.random.default_rng(seed)
        most = max(settings.photos)
        self.collages = self.random.integers(0, len(studio.tiles.names), (most, 4))
        self.made: Rows | None = None

    def alike(self) -> float:
        some = self.collages[: self.settings.compared]
        return float((self.studio.vectors(some) * self.studio.drawn(some)).sum(1).mean())

    @property
    def rows(self) -> Rows:
        if self.made is None:
            self.made = np.empty((len(self.collages), self.studio.embedder.dim), np.float16)
            at = 0
            for part in self.studio.parts(self.collages, self.bar):
                self.made[at : at + len(part)] = part.numpy()
                at += len(part)
        return self.made

    def queries(self, n: int) -> tuple[dict[str, Queries], list[set[str]]]:
        """By kind; and what each text names. Half of the texts name one thing, half two that are together in a photo
        among the first n; pictures are collages of the same tiles that the library does not hold."""
        random = np.random.default_rng((self.seed, n))
        names = self.studio.tiles.names
        named = []
        for at in range(self.settings.queries):
            first, second = random.choice(self.collages[random.integers(n)], 2, replace=False)
            named.append({names[first], names[second]} if at % 2 else {names[first]})
        texts = self.studio.embedder.texts([" and ".join(sorted(each)) for each in named])
        others = random.integers(0, len(names), (self.settings.queries, 4))
        pictures = torch.cat(list(self.studio.parts(others)))
        return {TEXTS: texts.numpy(), PICTURES: pictures.numpy()}, named

    def run(self, n: int) -> dict[str, object]:
        """A `Run`, in plain values."""
        settings, rows = self.settings, self.rows[:n]
        queries, named = self.queries(n)
        truth = {kind: exact(rows, asked, K) for kind, asked in queries.items()}
        timed = queries[TEXTS][: settings.timed]
        whole = flat(rows)
        exactly = in_turns(
            {SCAN: lambda query: scanned(rows, query, K), FLAT: partial(_whole, whole)}, timed, self.seed
        )
        del whole
        step = self.bar.advance
        ways: dict[str, Callable[[], Approximate]] = {
            HNSW: lambda: Hnsw(rows, settings.links, settings.building, settings.hnsw, step),
            IVF: lambda: Ivf(rows, self.seed, settings.trained_on, settings.rounds, settings.ivf, step),
        }
        indexes = {}
        for name, build in ways.items():
            start = time.process_time()
            index = build()
            seconds = time.process_time() - start
            taken = in_turns({effort: partial(_one, index, effort) for effort in index.efforts}, timed, self.seed)
            efforts = []
            for effort in index.efforts:
                places = {kind: index.find(asking, K, effort) for kind, asking in queries.items()}
                recalls = {kind: recall(places[kind], truth[kind]) for kind in queries}
                efforts.append(asdict(At(effort, recalls, taken[effort], self.right(places[TEXTS], named))))
            indexes[name] = {"size": index.bytes() / rows.nbytes, "seconds": seconds, "efforts": efforts}
            del index
        return {"exact": exactly, "right": self.right(truth[TEXTS], named), "indexes": indexes}

    def right(self, found: NDArray[np.int64], named: Sequence[set[str]]) -> float:
        """Share of the found photos [Q, K] that hold all that was named."""
        names = self.studio.tiles.names
        return float(
            np.mean(
                [
                    wanted <= {names[tile] for tile in self.collages[place]}
                    for places, wanted in zip(found, named, strict=True)
                    for place in places
                    if place >= 0
                ]
            )
        )


def _whole(index: Any, query: Queries) -> object:
    return index.search(query[None], K)


def _one(index: Approximate, effort: int, query: Queries) -> object:
    return index.find(query[None], K, effort)


def in_turns(ways: Mapping[Way, Callable[[Queries], object]], queries: Queries, seed: int) -> dict[Way, float]:
    """Milliseconds of this thread for one query, the median over queries; ways take turns in an order shuffled anew."""
    random = np.random.default_rng(seed)
    taken: dict[Way, list[float]] = {way: [] for way in ways}
    for query in queries:
        for at in random.permutation(len(ways)).tolist():
            way = list(ways)[at]
            start = time.thread_time()
            ways[way](query)
            taken[way].append(1_000 * (time.thread_time() - start))
    return {way: statistics.median(each) for way, each in taken.items()}


def draw(runs: Runs) -> Canvas:
    """Time over photos; and, of the largest library, recall over time, for pictures and for texts."""
    figure, axes = plots.canvas(2)
    sizes, most = list(runs), max(runs)
    rows = {n: times(each) for n, each in runs.items()}
    plots.bands(axes[0], sizes, {way: [rows[n][way] for n in sizes] for way in rows[most]})
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    axes[0].set_xlabel("photos")
    axes[0].set_ylabel("milliseconds of one query, a core")
    axes[0].legend(fontsize="x-small")
    for colour, name in zip(plots.COLOURS, INDEXES, strict=False):
        for kind, line in ((PICTURES, "--"), (TEXTS, "-")):
            indexes = [each.indexes[name] for each in runs[most]]
            places = range(len(indexes[0].efforts))
            ms = [statistics.mean(index.efforts[at].ms for index in indexes) for at in places]
            found = [statistics.mean(index.efforts[at].recall[kind] for index in indexes) for at in places]
            axes[1].plot(ms, found, line, color=colour, marker=".", label=f"{name}, {kind} ask")
    axes[1].set_xscale("log")
    axes[1].set_ylim(0, 1.02)
    axes[1].set_xlabel("milliseconds of one query, a core")
    axes[1].set_ylabel(f"recall of the {K} nearest of {most:,}")
    axes[1].legend(fontsize="small")
    return figure
