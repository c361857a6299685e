"""How records lie on disk: in shards, written by many processes at once, readable after any kill.

A shard is two files of one writer. NAME.features holds payloads, one behind the other; NAME.index an entry of 100 bytes
for each, written when its payload is.

- A kill leaves a payload without an entry, or a part of an entry, whose checksum fails: both are passed over. Nobody
  appends to another process's shard, so a torn end stays the end. (A safetensors file states all its tensors in front
  and cannot grow. SQLite would do, but its write-ahead log needs shared memory, and so a local disk.)
- An entry holds a SHA-256 over the payload and what it is for. Nothing waits for the disk: after a power cut an entry
  may be there and its payload not, which the hash tells as it tells any damage. A damaged record is dropped by making
  its entry void.
- Reading takes no lock, writing none that others wait for. The lock on the index of a shard being written, which the
  system lifts with its process, tells those who evict that its writer lives.

Payloads begin at multiples of 64 bytes, so they can be mapped into memory. They are read by `preadv` all the same,
straight into the rows of the batch. A batch is one tensor, so a map needs that copy too; it saves a seventh of it
(docs/feature-cache.md). But where a file was cut or a sector is bad, a map ends the process by SIGBUS, and a read gives
an error. Linux and macOS: locks and reads are the system's own.
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from isthmus.training.feature_cache.records import (
    ENTRY_BYTES,
    FILE,
    Entry,
    Layout,
    Parts,
    entry_at,
    entry_of_file,
    entry_of_record,
    key_at,
    parts_of,
)
from isthmus.vision.features import Features

Check: TypeAlias = Literal["first", "always", "never"]
"""When a record's SHA-256 is checked: on its first read in a process, on every one, on none."""

INDEX, PAYLOAD = ".index", ".features"
SHARD_BYTES = 256 << 20
"""A writer begins a new shard behind this size: shards are what is evicted."""
ALIGNMENT = 64
ROW = 0xFFFFFFFF
TOUCHED = 60.0
"""Seconds between two notes that a shard was used."""


class Shards:
    """The shards of one folder. For any number of threads, processes and forks; can be pickled."""

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        *,
        check: Check = "first",
        shard_bytes: int = SHARD_BYTES,
        say: Callable[[str], None],
    ) -> None:
        """`say` takes a line for the user."""
        self.folder, self.layout, self.check, self.shard_bytes, self.say = folder, layout, check, shard_bytes, say
        self.damaged = 0
        """Records dropped so far."""
        self._lock = threading.RLock()
        self._names: list[str] = []  # of all shards ever met; a shard's number is its place here
        self._numbers: dict[str, int] = {}
        self._index: dict[int, bytearray] = {}  # of each shard that is there: its entries, as read so far
        self._places: dict[bytes, int] = {}  # where a key's record is: number of the shard << 32 | row of its entry
        self._spares: dict[bytes, list[int]] = {}  # further ones, of writers who did not know of each other
        self._contents: dict[bytes, bytes] = {}  # of files, by their state
        self._checked: set[int] = set()
        self._touched: dict[int, float] = {}
        self._said: set[int] = set()
        self._writer: _Writer | None = None
        self.refresh()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("folder", "layout", "check", "shard_bytes", "say")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Shards.__init__(self, **state)

    def refresh(self) -> None:
        """Takes in what others have written and evicted meanwhile."""
        with self._lock:
            files = dict(sizes_of(self.folder))
            sizes = {
                file.stem: size
                for file, size in files.items()
                if file.suffix == INDEX and file.with_suffix(PAYLOAD) in files
            }
            for number in [each for each in self._index if self._names[each] not in sizes]:
                self._drop(number)
            for name, size in sorted(sizes.items()):
                known = self._index.get(self._numbers.get(name, -1), b"")
                if size >= len(known) + ENTRY_BYTES:
                    self._take_in(name)

    def __contains__(self, key: bytes) -> bool:
        """Whether there is a record of that content."""
        return key in self._places

    def content(self, state: bytes) -> bytes | None:
        """The content that a file in that state was found to have."""
        return self._contents.get(state)

    def keys(self) -> list[bytes]:
        """Of all records."""
        with self._lock:
            return list(self._places)

    def read(self, keys: Sequence[bytes], *, pinned: bool = False) -> Features | None:
        """Their records as a batch on the processor, tokens [B, N, D] in the kept dtype, padded with zeros.

        None where one of them is not there, damaged or evicted: it is forgotten, and the others can be read without it.
        """
        with self._lock:
            places = [place for key in keys if (place := self._places.get(key)) is not None]
            entries = [entry_at(self._index[place >> 32], place & ROW) for place in places]
        if len(entries) < len(keys):
            return None
        counts = [entry.n for entry in entries]
        batch = self.layout.empty(counts, pinned=pinned)
        by_shard: dict[int, list[tuple[int, Entry, Parts]]] = {}
        for place, entry, parts in zip(places, entries, parts_of(batch, counts), strict=True):
            by_shard.setdefault(place >> 32, []).append((place, entry, parts))
        # All are tried: of a damaged batch each record is told from the others.
        if not all([self._read_shard(number, members) for number, members in by_shard.items()]):
            return None
        return replace(batch, frames=tuple(entry.frame for entry in entries)) if self.layout.frames else batch

    def append(self, keys: Sequence[bytes], features: Features) -> None:
        """Keeps a record for each key. features: on the processor, contiguous, tokens in the kept dtype.

        Raises OSError where the disk refuses: then nothing of the batch is kept.
        """
        counts: list[int] = features.mask.sum(1).tolist()
        frames = features.frames or (None,) * len(keys)
        records = [
            (entry_of_record(key, n, frame, parts), parts)
            for key, n, frame, parts in zip(keys, counts, frames, parts_of(features, counts), strict=True)
        ]
        self._write(lambda writer: [entry._replace(offset=writer.add(parts)) for entry, parts in records])

    def remember(self, contents: dict[bytes, bytes]) -> None:
        """That files in these states have these contents. Raises OSError where the disk refuses."""
        self._write(lambda _: [entry_of_file(state, content) for state, content in contents.items()])

    def close(self) -> None:
        """Ends the shard being written. To write again begins another."""
        with self._lock:
            if self._writer is not None and self._writer.pid == os.getpid():
                self._writer.close()
            self._writer = None

    def _forget(self, key: bytes, place: int) -> None:
        with self._lock:
            spares = self._spares.get(key, [])
            if place in spares:
                spares.remove(place)
            elif self._places.get(key) == place:
                if spares:
                    self._places[key] = spares.pop()
                else:
                    del self._places[key]

    def _drop(self, number: int) -> None:
        """Forgets a whole shard."""
        with self._lock:
            index = self._index.pop(number, b"")
            for row in range(len(index) // ENTRY_BYTES):
                if (key := key_at(index, row)) is not None:
                    self._forget(key, number << 32 | row)

    def _take_in(self, name: str) -> None:
        """Entries behind those known. What is void at the end may be half-written: it is looked at again next time."""
        number = self._numbers.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        known = self._index.setdefault(number, bytearray())
        try:
            with Path(self._path(number, INDEX)).open("rb") as file:
                file.seek(len(known))
                new = file.read()
        except FileNotFoundError:  # evicted since it was listed
            self._drop(number)
            return
        first, valid = len(known) // ENTRY_BYTES, 0
        for row in range(len(new) // ENTRY_BYTES):
            if (key := key_at(new, row)) is None:
                continue
            valid = row + 1
            place = number << 32 | first + row
            entry = entry_at(new, row)
            if entry.kind == FILE:
                self._contents[key] = entry.digest
            elif self._places.setdefault(key, place) != place:
                self._spares.setdefault(key, []).append(place)
        known += new[: valid * ENTRY_BYTES]

    def _read_shard(self, number: int, members: Iterable[tuple[int, Entry, Parts]]) -> bool:
        try:
            file = os.open(self._path(number, PAYLOAD), os.O_RDONLY)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):  # that one is evicted
                self._complain(number, f"cannot be read: {error.strerror or error}")
            self._drop(number)
            return False
        try:
            self._touch(number, file)
            return all([self._read_record(file, *each) for each in members])
        finally:
            os.close(file)

    def _read_record(self, file: int, place: int, entry: Entry, parts: Parts) -> bool:
        if (why := self._flaw(file, place, entry, parts)) is None:
            return True
        self.damaged += 1
        self._complain(place >> 32, f"is damaged: {why}")
        self._forget(entry.key, place)
        with suppress(OSError), Path(self._path(place >> 32, INDEX)).open("rb+", buffering=0) as index:
            os.pwrite(index.fileno(), bytes(ENTRY_BYTES), (place & ROW) * ENTRY_BYTES)  # void for everyone
        return False

    def _flaw(self, file: int, place: int, entry: Entry, parts: Parts) -> str | None:
        """Reads the record. What is wrong with it, if anything."""
        try:
            read = os.preadv(file, parts, entry.offset)
        except OSError as error:
            return error.strerror or str(error)
        if read != sum(map(len, parts)):
            return "it ends too early"
        if self.check == "always" or (self.check == "first" and place not in self._checked):
            if entry.hash_of(parts) != entry.digest:
                return "a record does not have its SHA-256"
            self._checked.add(place)
        return None

    def _path(self, number: int, suffix: str) -> str:
        return f"{self.folder}/{self._names[number]}{suffix}"

    def _complain(self, number: int, what: str) -> None:
        """Once a shard."""
        if number not in self._said:
            self._said.add(number)
            self.say(f"{self._path(number, PAYLOAD)} {what}; what it held is made again")

    def _touch(self, number: int, file: int) -> None:
        now = time.monotonic()
        if now - self._touched.get(number, -TOUCHED) >= TOUCHED:
            self._touched[number] = now
            stamp = time.time_ns()
            with suppress(OSError):  # a folder of another user, or one that is read only
                os.utime(file, ns=(stamp, stamp))

    def _write(self, written: "Callable[[_Writer], list[Entry]]") -> None:
        """`written` adds payloads and gives their entries."""
        with self._lock:
            if self._writer is not None and self._writer.pid != os.getpid():
                self._writer = None  # of the process that this one was forked from
            if self._writer is not None and self._writer.deleted:
                self.close()
            if self._writer is None:
                self._writer = _Writer(self.folder)
            writer = self._writer
            try:
                writer.commit(b"".join(entry.packed() for entry in written(writer)))
            except OSError:
                self._writer = None
                writer.abandon()
                raise
            self._take_in(writer.name)
            if writer.size >= self.shard_bytes:
                self.close()


class _Writer:
    """A shard being written, by this process alone. Payloads first, then `commit`: before that nobody sees them."""

    def __init__(self, folder: Path) -> None:
        self.pid = os.getpid()
        while True:
            self.name = secrets.token_hex(8)
            index = folder / (self.name + INDEX)
            self._index = index.open("xb", buffering=0)
            try:
                fcntl.flock(self._index, fcntl.LOCK_EX)
                self._payload = (folder / (self.name + PAYLOAD)).open("xb", buffering=0)
            except OSError:
                self._index.close()
                index.unlink(missing_ok=True)
                raise
            if not self.deleted:
                break
            self.close()  # evicted between its making and its lock
            (folder / (self.name + PAYLOAD)).unlink(missing_ok=True)
        self.size = self._end = self._entries = 0

    @property
    def deleted(self) -> bool:
        """Somebody has emptied the folder."""
        return os.fstat(self._index.fileno()).st_nlink == 0

    def add(self, parts: Parts) -> int:
        """Writes a payload; its offset."""
        offset, end = self._end, self._end
        for part in parts:
            end += _write_all(self._payload.fileno(), part, end)
        self._end = end + -end % ALIGNMENT
        return offset

    def commit(self, entries: bytes) -> None:
        self._entries += _write_all(self._index.fileno(), memoryview(entries), self._entries)
        self.size = self._end

    def abandon(self) -> None:
        """Gives back the room of what was not committed, and ends."""
        with suppress(OSError):
            self._payload.truncate(self.size)
            self._index.truncate(self._entries)
        self.close()

    def close(self) -> None:
        self._payload.close()
        self._index.close()


def sizes_of(folder: Path) -> list[tuple[Path, int]]:
    """The shards' files in a folder, and their bytes."""
    found = []
    with suppress(FileNotFoundError), os.scandir(folder) as files:  # a cache may be deleted at any time
        for file in files:
            if file.name.endswith((INDEX, PAYLOAD)):
                with suppress(FileNotFoundError):  # evicted since it was listed
                    found.append((Path(file.path), file.stat().st_size))
    return found


def _write_all(file: int, data: memoryview, offset: int) -> int:
    """Writes all of it; the number of bytes. A disk that fills up takes a part first, then refuses the rest."""
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], offset + done)
    return done
