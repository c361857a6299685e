"""A record, what is kept of one picture: its bytes, its entry in an index, and what all records of a folder share.

Notation: B pictures, N tokens (of the longest), n tokens of one picture, D width.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from isthmus.vision.features import Features, Frame

Parts: TypeAlias = tuple[memoryview, memoryview, memoryview]
"""The bytes of a picture's tokens [n, D], boxes [n, 4] and pooled [D_pooled], in the memory of the Features."""

_BODY = struct.Struct("<BxxxIIIIIQ32s32s")
ENTRY_BYTES = _BODY.size + 4
RECORD, FILE = 1, 2


class Entry(NamedTuple):
    """An entry of an index. kind RECORD: the picture of content `key` has its payload at `offset`, with the SHA-256
    `digest` over it and the entry's other fields. kind FILE: a file in the state `key` has the content `digest`."""

    kind: int
    n: int
    width: int
    """Of the original picture in pixels; 0 where the encoder gives no frames."""
    height: int
    rows: int
    """Of tiles; 0 where the Fit makes none."""
    columns: int
    offset: int
    digest: bytes
    key: bytes

    @property
    def frame(self) -> Frame:
        return Frame(self.width, self.height, (self.rows, self.columns) if self.rows else None)

    def packed(self) -> bytes:
        body = _BODY.pack(*self)
        return body + zlib.crc32(body).to_bytes(4, "little")

    def hash_of(self, parts: Parts) -> bytes:
        """What `digest` must be."""
        digest = hashlib.sha256(_BODY.pack(*self._replace(offset=0, digest=bytes(32))))
        for part in parts:
            digest.update(part)
        return digest.digest()


def entry_of_record(key: bytes, n: int, frame: Frame | None, parts: Parts) -> Entry:
    """Without its offset, which is not known yet."""
    grid = frame.grid if frame and frame.grid else (0, 0)
    size = (frame.width, frame.height) if frame else (0, 0)
    bare = Entry(RECORD, n, *size, *grid, 0, bytes(32), key)
    return bare._replace(digest=bare.hash_of(parts))


def entry_of_file(state: bytes, content: bytes) -> Entry:
    return Entry(FILE, 0, 0, 0, 0, 0, 0, content, state)


def entry_at(index: bytes | bytearray, row: int) -> Entry:
    return Entry(*_BODY.unpack_from(index, row * ENTRY_BYTES))


def key_at(index: bytes | bytearray, row: int) -> bytes | None:
    """The key of that entry; None where the entry is void: half-written, damaged or deleted."""
    raw = index[row * ENTRY_BYTES : (row + 1) * ENTRY_BYTES]
    return bytes(raw[-36:-4]) if zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little") else None


@dataclass(frozen=True)
class Layout:
    """What all records of a folder share. computed, kept: dtype of the tokens as the encoder gives them, and on disk;
    pooled is kept in its own, boxes in float32. frames: whether the encoder gives them."""

    encoder: str
    fit: str
    computed: str
    kept: str
    pooled: str
    width: int
    pooled_width: int
    frames: bool
    version: int = 1

    def empty(self, counts: Sequence[int], *, pinned: bool = False) -> Features:
        """Features of pictures with so many tokens to read into, on the processor: padding is zero, the rest is not
        set. Frames are left out."""
        pictures, longest = len(counts), max(counts)

        def empty(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.empty(shape, dtype=dtype, device="cpu", pin_memory=pinned)

        tokens = empty(pictures, longest, self.width, dtype=dtype_of(self.kept))
        boxes = empty(pictures, longest, 4, dtype=torch.float32)
        pooled = empty(pictures, self.pooled_width, dtype=dtype_of(self.pooled))
        mask = torch.arange(longest, device="cpu") < torch.tensor(counts, device="cpu")[:, None]
        for at, n in enumerate(counts):
            if n < longest:
                tokens[at, n:], boxes[at, n:] = 0, 0
        return Features(tokens, mask, boxes, pooled)


def parts_of(features: Features, counts: Sequence[int]) -> list[Parts]:
    """Of each picture, without padding. features: on the processor, contiguous."""
    tokens, boxes = _rows(features.tokens, counts), _rows(features.boxes, counts)
    return list(zip(tokens, boxes, _rows(features.pooled), strict=True))


def dtype_of(name: str) -> torch.dtype:
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def _rows(tensor: Tensor, counts: Sequence[int] | None = None) -> list[memoryview]:
    """The bytes of each tensor[b], or of tensor[b, :n]."""
    raw = tensor.flatten().view(torch.uint8).numpy().data
    pictures = len(tensor)
    row = tensor.nbytes // pictures
    if counts is None:
        return [raw[at * row : (at + 1) * row] for at in range(pictures)]
    step = row // tensor.shape[1]
    return [raw[at * row : at * row + n * step] for at, n in enumerate(counts)]
