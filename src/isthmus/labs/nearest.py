"""Ways to find the nearest of N unit vectors: all of them looked at, or an index that looks at some (faiss).

Notation: N rows, D their width, Q queries.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.photos.scan import Scan

Rows = NDArray[np.float16]
Queries = NDArray[np.float32]

ADDED = 10_000
"""Rows that are turned into float32 at a time."""


class Approximate(Protocol):
    """`efforts`: how hard it may look, least first."""

    efforts: Sequence[int]

    def find(self, queries: Queries, k: int, effort: int) -> NDArray[np.int64]:
        """[Q, k] rows, best first; -1 where fewer were found."""

    def bytes(self) -> int:
        """All of it, its copy of the vectors included."""


class Hnsw:
    """A graph of near rows, walked from the top (Malkov and Yashunin, 2018). An effort is `efSearch`."""

    def __init__(self, rows: Rows, links: int, building: int, efforts: Sequence[int], step: Callable[[int], None]):
        self.efforts = efforts
        self._index = faiss.IndexHNSWFlat(rows.shape[1], links, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = building
        _add(self._index, rows, step)

    def find(self, queries: Queries, k: int, effort: int) -> NDArray[np.int64]:
        return _found(self._index, queries, k, faiss.SearchParametersHNSW(efSearch=effort))

    def bytes(self) -> int:
        return _bytes(self._index)


class Ivf:
    """Lists of the rows around 4 sqrt(N) centres, of which some are looked at. An effort is `nprobe`, the lists."""

    def __init__(
        self, rows: Rows, seed: int, trained_on: int, rounds: int, efforts: Sequence[int], step: Callable[[int], None]
    ):
        dim = rows.shape[1]
        lists = round(4 * len(rows) ** 0.5)
        self.efforts: Sequence[int] = [effort for effort in efforts if effort <= lists]
        self._centres = faiss.IndexFlatIP(dim)  # faiss does not keep it alive
        self._index = faiss.IndexIVFFlat(self._centres, dim, lists, faiss.METRIC_INNER_PRODUCT)
        self._index.cp.seed, self._index.cp.niter = seed, rounds
        self._index.cp.min_points_per_centroid, self._index.cp.max_points_per_centroid = 1, trained_on
        some = np.random.default_rng(seed).permutation(len(rows))[: lists * trained_on]
        self._index.train(rows[np.sort(some)].astype(np.float32))
        _add(self._index, rows, step)

    def find(self, queries: Queries, k: int, effort: int) -> NDArray[np.int64]:
        return _found(self._index, queries, k, faiss.SearchParametersIVF(nprobe=effort))

    def bytes(self) -> int:
        return _bytes(self._index)


def exact(rows: Rows, queries: Queries, k: int) -> NDArray[np.int64]:
    """[Q, k] rows by fp32 products of all, best first."""
    asked = torch.from_numpy(queries).T
    scores, places = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64)
    for start in range(0, len(rows), ADDED):
        some = torch.from_numpy(rows[start : start + ADDED]).float() @ asked
        best = some.T.topk(min(k, len(some)), dim=1)
        scores, places = torch.cat([scores, best.values], 1), torch.cat([places, best.indices + start], 1)
        top = scores.topk(min(k, scores.shape[1]), dim=1)
        scores, places = top.values, places.gather(1, top.indices)
    return places.numpy()


def flat(rows: Rows) -> Any:
    """Faiss's own exact index, in fp32."""
    index = faiss.IndexFlatIP(rows.shape[1])
    _add(index, rows, lambda _: None)
    return index


def scanned(rows: Rows, query: Queries, k: int) -> NDArray[np.int64]:
    """One query [D] as the photo library answers it: all rows in fp16, the best of them again in fp32."""
    return Scan.of(rows, query).best(k)[0]


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Mean share of each query's true rows that are among the found."""
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, truth, strict=True)]))


def _add(index: Any, rows: Rows, step: Callable[[int], None]) -> None:
    for start in range(0, len(rows), ADDED):
        part = rows[start : start + ADDED].astype(np.float32)
        index.add(part)
        step(len(part))


def _found(index: Any, queries: Queries, k: int, parameters: Any) -> NDArray[np.int64]:
    places: NDArray[np.int64] = index.search(queries, k, params=parameters)[1]
    return places


def _bytes(index: Any) -> int:
    counted = faiss.VectorIOWriter()
    faiss.write_index(index, counted)
    return int(counted.data.size())
