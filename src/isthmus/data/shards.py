"""Webdataset shards on this disk, read in any order: a tar is looked through once, and nothing is ever unpacked.

Where a sample's members stand is kept in the cache, 8 bytes a member and 8 a sample, for as long as the file is the
same (its place, size and time).
"""

import hashlib
import os
import tarfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from isthmus.checkpoints.cache import cache_folder, written_whole
from isthmus.data.example import Example
from isthmus.data.rows import USUAL, Columns
from isthmus.data.shard_sample import example_of_sample, key_and_suffix
from isthmus.errors import InputError, MissingPart
from isthmus.progress import SILENT, Progress

BLOCK = 512
FORMAT = 1
"""Of the kept index: raised where its meaning changes."""


class Shards:
    """Samples of tars, shard after shard. What a damaged tar holds before the damage is read; the damage itself is one
    more record, which cannot be used and says so. Members of a sample need not stand side by side."""

    def __init__(
        self, name: str, paths: Sequence[Path], *, columns: Columns = USUAL, progress: Progress = SILENT
    ) -> None:
        """Looks through each tar that is not known yet, its headers alone. Raises InputError where one is missing or
        compressed, or none holds a sample."""
        self.name, self.columns = name, columns
        self._shards: list[_Index] = []
        for path in paths:
            self._shards.append(_kept_index(path))
            progress.advance(note=path.name)
        self._ends: list[int] = []
        for shard in self._shards:
            self._ends.append((self._ends[-1] if self._ends else 0) + shard.records)
        if not self._ends or not self._ends[-1]:
            raise InputError(f"{name} holds no sample", todo="give .tar files with pictures and texts of common names")

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, at: int) -> Example:
        at = range(len(self))[at]
        which = bisect_right(self._ends, at)
        shard, inside = self._shards[which], at - (self._ends[which - 1] if which else 0)
        if inside == shard.samples:
            raise InputError(
                f"{shard.path.name} is damaged behind sample {shard.samples}",
                why=f"no member is whole from byte {shard.sound} on",
                todo="what stands before is used; copy it again for the rest",
            )
        key, members = shard.read(inside)
        return example_of_sample(members, f"{shard.path.name}, {key}", self.columns)


@dataclass(frozen=True)
class _Index:
    """`offsets`: of the members' headers, sample after sample; `ends`: where each sample's end in it. `sound`: up to
    which byte the tar could be read, -1 where all of it could."""

    path: Path
    offsets: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    sound: int

    @property
    def samples(self) -> int:
        return len(self.ends)

    @property
    def records(self) -> int:
        return self.samples + (self.sound >= 0)

    def read(self, at: int) -> tuple[str, dict[str, bytes]]:
        """The sample's key, and its members by suffix. Raises InputError where the file has changed."""
        first = int(self.ends[at - 1]) if at else 0
        key, members = "", dict[str, bytes]()
        try:
            with self.path.open("rb") as file:
                for offset in self.offsets[first : int(self.ends[at])]:
                    file.seek(int(offset))
                    with tarfile.open(fileobj=file, mode="r:") as tar:
                        member = tar.next()
                        opened = tar.extractfile(member) if member else None
                        found = key_and_suffix(member.name) if member else None
                        if opened is None or found is None:
                            raise tarfile.ReadError(f"there is no member at byte {offset}")
                        key = found[0]
                        members[found[1]] = opened.read()
        except (OSError, tarfile.TarError) as error:
            raise InputError(f"{self.path} cannot be read", why=str(error), todo="has it changed?") from None
        return key, members


def _kept_index(path: Path) -> _Index:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read", why=error.strerror or str(error)) from None
    state = f"{FORMAT}\0{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}"
    kept = cache_folder() / "shards" / f"{hashlib.sha256(os.fsencode(state)).hexdigest()[:32]}.npz"
    try:
        with np.load(kept, allow_pickle=False) as read:
            return _Index(path, read["offsets"], read["ends"], int(read["sound"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # not looked through yet, or half of an index
    index = _look_through(path)
    try:
        with written_whole(kept) as temporary, temporary.open("wb") as file:
            np.savez(file, offsets=index.offsets, ends=index.ends, sound=np.int64(index.sound))
    except MissingPart:
        pass  # a cache that cannot be written only costs time
    return index


def _look_through(path: Path) -> _Index:
    samples: dict[str, list[int]] = {}
    with path.open("rb") as file:
        size = path.stat().st_size
        _check_plain(file, path)
        sound, at = -1, 0
        try:
            tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115  it only reads `file`, which is closed here
            while (member := tar.next()) is not None:
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("the last member is cut short")
                at = tar.offset
                tar.members = []  # type: ignore[attr-defined]  # else it keeps every header
                found = key_and_suffix(member.name) if member.isreg() else None
                if found:
                    samples.setdefault(found[0], []).append(member.offset)
            if not _ends_here(file, at):
                sound = at
        except tarfile.TarError:
            sound = at
    offsets = [offset for each in samples.values() for offset in each]
    ends = np.cumsum([len(each) for each in samples.values()], dtype=np.uint64)
    return _Index(path, np.array(offsets, dtype=np.uint64), ends, sound)


def _check_plain(file: BinaryIO, path: Path) -> None:
    head = file.read(BLOCK)
    file.seek(0)
    packed = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    if found := next((name for mark, name in packed.items() if head.startswith(mark)), None):
        raise InputError(
            f"{path} is compressed with {found} and cannot be read in any order",
            todo="decompress it to a plain .tar (pictures are compressed already), or read it with streaming",
        )
    if len(head) == BLOCK and head[257:262] != b"ustar" and head.strip(b"\0"):
        raise InputError(f"{path} is no tar", todo="give the .tar files of a webdataset")


def _ends_here(file: BinaryIO, at: int) -> bool:
    """Whether the end mark, a block of zeros, is there: at a damaged header tarfile ends without a word, too."""
    file.seek(at)
    return file.read(BLOCK) == bytes(BLOCK)
