"""The vectors of one model as one matrix on disk, mapped into memory: derived from the library, never the truth.

One matrix is of whole photos, a row each, another of their regions, several rows each. A query then starts without
parsing a row per photo. The file is written whole and renamed into place; its header ties it to one state of the
library, and sums over its contents are checked at every load (at the speed of memory). Where anything does not agree
the file is made again.
"""

import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.scan import Scan
from isthmus.photos.store import Library, Model

FORMAT = "isthmus vectors 1"

Of = Literal["vectors", "regions"]
"""The table the rows come from: whole photos, or their regions."""

HEADER = 4096
"""Bytes before the rows: a page, so that they are aligned."""

CHUNK = 4096
"""Rows written at a time; memory does not grow with the library."""


@dataclass(frozen=True)
class Matrix:
    """vectors [N, dim] fp16 with unit rows; photos [N] int64, the photo of each row, rows of one together and in order.

    `on_disk` is False where the library's folder cannot be written, so that every load reads all rows anew.
    """

    vectors: NDArray[np.float16]
    photos: NDArray[np.int64]
    on_disk: bool

    def scan(self, query: NDArray[np.float32], keep: NDArray[np.bool_] | None = None) -> Scan:
        """query [dim]; keep [N]: the only rows that count."""
        return Scan.of(self.vectors, query, keep)


@dataclass(frozen=True)
class _Header:
    format: str
    library: str
    fingerprint: str
    generation: int
    rows: int
    dim: int
    last_vector: int
    last_crc: int
    sum: int


def load_matrix(library: Library, model: Model, of: Of = "vectors") -> Matrix:
    """The model's vectors, from the file where it is current, else from the library (and the file is renewed).

    Rows are mapped, not read: processes that search the same library share them. Raises CorruptLibrary.
    """
    path = matrix_path(library, model, of)
    matrix = _load(path, library, model, of)
    if matrix is None:
        try:
            _write(path, library, model, of)
        except OSError:
            return _in_memory(library, model, of)
        matrix = _load(path, library, model, of)
    # Another process may have indexed on in between: then what is in memory is at least one state, whole.
    return matrix if matrix is not None else _in_memory(library, model, of)


def matrix_path(library: Library, model: Model, of: Of = "vectors") -> Path:
    """Where the file lies: beside the library."""
    return library.folder / f"{of}-{model.fingerprint[:16]}.f16"


def _load(path: Path, library: Library, model: Model, of: Of) -> Matrix | None:
    """The file's matrix if it is sound and of the library's present state."""
    try:
        with path.open("rb") as file:
            header = _Header(**json.loads(file.read(HEADER).rstrip(b"\0")))
            if not _is_current(header, library, model, of):
                return None
            words = _words(header.rows, header.dim)
            if file.seek(0, os.SEEK_END) != HEADER + 8 * (words + header.rows):
                return None
        # Mode "c": private to this process, so torch may take it without a copy.
        mapped = np.memmap(path, "<u8", "c", HEADER, (words + header.rows,)) if header.rows else np.empty(0, "<u8")
    except (OSError, ValueError, TypeError):  # missing, cut off, not a header
        return None
    if _sum(mapped) != header.sum:
        return None
    flat = np.asarray(mapped[:words]).view("<f2")[: header.rows * header.dim]
    return Matrix(flat.reshape(header.rows, header.dim), np.asarray(mapped[words:]).view("<i8"), on_disk=True)


def _is_current(header: _Header, library: Library, model: Model, of: Of) -> bool:
    here = (FORMAT, library.id, model.fingerprint, _generation(model, of), model.dim)
    if (header.format, header.library, header.fingerprint, header.generation, header.dim) != here:
        return False
    # A library that was put back from a copy and went on differently has another vector under this id.
    last = library.query(f"SELECT crc FROM {of} WHERE id = ?", (header.last_vector,))
    return bool(last == ([(header.last_crc,)] if header.rows else []))


def _write(path: Path, library: Library, model: Model, of: Of) -> None:
    """Raises OSError where the folder cannot be written or the disk is full."""
    photos: list[NDArray[np.int64]] = []
    rows = last = crc = total = 0
    descriptor, name = tempfile.mkstemp(dir=library.folder, prefix=".vectors-")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(bytes(HEADER))
            for some in chunks(rows_of(library, model, of)):
                block = b"".join(vector for _, _, vector in some)
                block += bytes(-len(block) % 8)  # only the last chunk can need it
                file.write(block)
                total += _sum(np.frombuffer(block, "<u8"))
                photos.append(photos_of(some, model))
                rows, last, crc = rows + len(photos[-1]), some[-1][0], zlib.crc32(some[-1][2])
            ids = np.concatenate([np.empty(0, "<i8"), *photos])
            file.write(ids.tobytes())
            total = (total + _sum(ids.view("<u8"))) % 2**64
            generation = _generation(model, of)
            header = _Header(FORMAT, library.id, model.fingerprint, generation, rows, model.dim, last, crc, total)
            file.seek(0)
            file.write(json.dumps(asdict(header)).encode())
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the name without the contents
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _in_memory(library: Library, model: Model, of: Of) -> Matrix:
    rows = list(rows_of(library, model, of))
    vectors = np.frombuffer(bytearray(b"".join(vector for _, _, vector in rows)), "<f2")
    return Matrix(vectors.reshape(-1, model.dim), photos_of(rows, model), on_disk=False)


def rows_of(library: Library, model: Model, of: Of) -> Iterator[tuple[int, int, bytes]]:
    """(id, photo, fp16 bytes of its vectors) in the order of ids. Raises CorruptLibrary."""
    return library.vectors(model) if of == "vectors" else library.regions(model)


def vector_counts(library: Library, model: Model, of: Of, *, after: int = 0) -> int:
    """How many vectors there are, of ids above `after`."""
    column = "vector" if of == "vectors" else "vectors"
    (size,) = library.query(
        f"SELECT coalesce(sum(length({column})), 0) FROM {of} WHERE model = ? AND id > ?", (model.id, after)
    )[0]
    return int(size) // (2 * model.dim)


def _generation(model: Model, of: Of) -> int:
    return model.generation if of == "vectors" else model.closer


def photos_of(rows: Sequence[tuple[int, int, bytes]], model: Model) -> NDArray[np.int64]:
    """The photo of each row of the matrix."""
    counts = [len(vectors) // (2 * model.dim) for _, _, vectors in rows]
    return np.repeat(np.array([photo for _, photo, _ in rows], "<i8"), counts)


def _words(rows: int, dim: int) -> int:
    """64-bit words that hold the rows."""
    return (rows * dim * 2 + 7) // 8


def _sum(words: NDArray[np.uint64]) -> int:
    """Modulo 2**64: any flipped bit and any block of zeros shows, and it is as fast as reading."""
    return int(words.sum(dtype=np.uint64))


def chunks(rows: Iterable[tuple[int, int, bytes]]) -> Iterator[list[tuple[int, int, bytes]]]:
    source = iter(rows)
    while some := list(islice(source, CHUNK)):
        yield some
