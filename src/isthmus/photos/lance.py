"""A library's vectors in LanceDB, on a disk or in object storage, for libraries past what one machine keeps in memory.

What is published is a copy of one state of the library, as the matrices on disk are; searches that are told of it read
only what they need of it. Every search looks at all vectors and scores what could be best in fp32, so that results are
those of the local scan. Source: https://docs.lancedb.com/search/vector-search
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, MissingPart
from isthmus.photos.facts import Mask
from isthmus.photos.matrix import CHUNK, Of, chunks, photos_of, rows_of, vector_counts
from isthmus.photos.store import Library, Model

if TYPE_CHECKING:
    from lancedb.db import DBConnection
    from lancedb.table import Table

ROUNDED = 64
"""Rows asked for beyond those wanted: Lance's sums are rounded otherwise than ours."""
FEW = 20_000
"""Rows that are fetched and scored here where conditions leave no more."""


@dataclass(frozen=True)
class Published:
    """How many rows were added, and how many there are."""

    added: int
    rows: int


def publish(library: Library, model: Model, uri: str) -> dict[Of, Published]:
    """Write the model's vectors to the database at `uri` (a folder, s3://..., gs://..., az://...), or what came since.

    Raises InputError where it cannot be written, MissingPart without the extra `lance`, CorruptLibrary.
    """
    database = _connected(uri)
    kinds: list[Of] = ["vectors", "regions"] if model.closer else ["vectors"]
    try:
        return {of: _publish(database, library, model, of) for of in kinds}
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{uri} cannot be written", why=_line(error), todo="check the address and its rights"
        ) from None


@dataclass(frozen=True)
class LanceRows:
    """The rows of one table, as `Matrix` has them. photos [N]: the photo of each."""

    table: "Table"
    photos: NDArray[np.int64]

    def scan(self, query: NDArray[np.float32], keep: Mask | None = None) -> "LanceScan":
        return LanceScan(self.table, query, keep, len(self.photos) if keep is None else int(keep.sum()))


@dataclass(frozen=True)
class LanceVectors:
    """Where published vectors are."""

    uri: str

    def load(self, library: Library, model: Model) -> tuple[LanceRows, LanceRows | None]:
        """Whole photos, and regions where there are any. Raises InputError where they are not there or another
        library's."""
        database = _connected(self.uri)
        whole = _rows(database, self.uri, library, model, "vectors")
        assert whole is not None
        return whole, _rows(database, self.uri, library, model, "regions")


@dataclass(frozen=True)
class LanceScan:
    """As `scan.Scan`, over a table. keep [N]: the only rows that count; `kept`: how many those are."""

    table: "Table"
    query: NDArray[np.float32]
    keep: Mask | None
    kept: int
    rough: None = None
    """There are no scores of all rows."""

    def best(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k best rows and their scores in fp32, best first; equal scores in the order of rows."""
        k = min(k, self.kept)
        if k == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self.keep is not None and self.kept <= max(k, FEW):
            rows = np.flatnonzero(self.keep)
            scores = self.exact(rows)
        else:
            rows, scores = self._nearest(k)
        order = np.lexsort((rows, -scores))[:k]
        return rows[order], scores[order]

    def exact(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """[n]: the scores in fp32 of these rows."""
        parts = [self.take(rows[at : at + CHUNK]).astype(np.float32) @ self.query for at in range(0, len(rows), CHUNK)]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """[n, D]: these rows."""
        if not len(rows):
            return np.empty((0, len(self.query)), np.float16)
        wanted, back = np.unique(rows, return_inverse=True)
        found = self.table.take_offsets(wanted.tolist()).select(["row", "vector"]).to_arrow()
        order = np.argsort(found["row"].to_numpy())
        return _vectors(found)[order][back]

    def _nearest(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        total = self.table.count_rows()
        reach = k + ROUNDED
        while True:
            asked: Any = self.table.search(self.query, vector_column_name="vector")
            found = (
                asked.distance_type("dot")
                .bypass_vector_index()
                .select(["row", "vector"])
                .limit(min(reach, total))
                .to_arrow()
            )
            rows: NDArray[np.int64] = found["row"].to_numpy()
            counts = np.ones(len(rows), bool) if self.keep is None else self.keep[rows]
            if counts.sum() >= min(k + ROUNDED, self.kept) or reach >= total:
                scores: NDArray[np.float32] = _vectors(found)[counts].astype(np.float32) @ self.query
                return rows[counts], scores
            # Conditions leave most of them out: look further down, four times as far each time.
            reach *= 4


def _publish(database: "DBConnection", library: Library, model: Model, of: Of) -> Published:
    import pyarrow as pa

    name, about = _table(library, model, of), {"library": library.id, "fingerprint": model.fingerprint}
    schema = pa.schema(
        [("row", pa.int64()), ("id", pa.int64()), ("photo", pa.int64()), ("vector", pa.list_(pa.float16(), model.dim))],
        metadata=about,
    )
    old = _opened(database, name)
    total = vector_counts(library, model, of)
    if old is not None:
        before = old.count_rows()
        last = 0
        if before:
            last = old.take_offsets([before - 1]).select(["id"]).to_arrow()["id"][0].as_py()
        since = vector_counts(library, model, of, after=last)
        if before + since == total:
            if since:
                old.add(pa.RecordBatchReader.from_batches(schema, _batches(library, model, of, schema, last, before)))
            return Published(since, total)
    # Another library's, or one that was put back from a copy.
    new = pa.RecordBatchReader.from_batches(schema, _batches(library, model, of, schema, 0, 0))
    database.create_table(name, data=new, schema=schema, mode="overwrite")
    return Published(total, total)


def _batches(library: Library, model: Model, of: Of, schema: Any, after: int, first: int) -> Iterator[Any]:
    import pyarrow as pa

    source = (each for each in rows_of(library, model, of) if each[0] > after)
    for some in chunks(source):
        flat = np.frombuffer(b"".join(vectors for _, _, vectors in some), "<f2")
        photos = photos_of(some, model)
        ids = photos_of([(id, id, vectors) for id, _, vectors in some], model)
        rows = np.arange(first, first + len(ids))
        first += len(ids)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float16()), model.dim)
        yield pa.RecordBatch.from_arrays([pa.array(rows), pa.array(ids), pa.array(photos), vectors], schema=schema)


def _rows(database: "DBConnection", uri: str, library: Library, model: Model, of: Of) -> LanceRows | None:
    table = _opened(database, _table(library, model, of))
    if table is None:
        if of == "regions":
            return None
        raise InputError(f"{uri} has no vectors of this library and {model.name}", todo=f"isthmus photos publish {uri}")
    found = table.search().select(["row", "photo"]).limit(table.count_rows()).to_arrow()
    photos = np.empty(len(found), np.int64)
    photos[found["row"].to_numpy()] = found["photo"].to_numpy()
    return LanceRows(table, photos)


def _table(library: Library, model: Model, of: Of) -> str:
    """One database may hold several libraries."""
    return f"{of}-{library.id[:12]}-{model.fingerprint[:16]}"


def _vectors(found: Any) -> NDArray[np.float16]:
    column = found["vector"].combine_chunks()
    flat: NDArray[np.float16] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1)


def _opened(database: "DBConnection", name: str) -> "Table | None":
    try:
        return database.open_table(name)
    except (ValueError, FileNotFoundError, RuntimeError):
        return None


def _connected(uri: str) -> "DBConnection":
    os.environ.setdefault("LANCE_LOG", "error")  # it warns of every table it makes
    try:
        import lancedb
    except ImportError as error:
        raise MissingPart(
            "vectors are published with LanceDB", why=str(error), todo="pip install 'isthmus[lance]'"
        ) from None
    try:
        return lancedb.connect(uri)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{uri} cannot be opened", why=_line(error), todo="give a folder or s3://bucket/path"
        ) from None


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
