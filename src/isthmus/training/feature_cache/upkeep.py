"""What kept features take up, and how they are made fewer and checked: no encoder is needed, others may read and write.

A folder is one that `FeatureCache.open` was given, or one that holds several of them; None is the default one.
"""

import fcntl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import InputError
from isthmus.training.feature_cache.folder import LAYOUT, default_folder, read_layout
from isthmus.training.feature_cache.shards import INDEX, PAYLOAD, Shards, sizes_of

AT_ONCE = 16
"""Records checked together."""


@dataclass(frozen=True)
class Usage:
    """caches: folders of one encoder each. pictures: counted once in each of them. `bytes` is of all their shards."""

    caches: int
    pictures: int
    bytes: int


@dataclass(frozen=True)
class Verified:
    """damaged: of `pictures`; they were dropped and are made again when they are needed."""

    pictures: int
    damaged: int


def usage(folder: Path | str | None = None) -> Usage:
    """Raises InputError where there is no such folder, CorruptPart where one cannot be read."""
    caches = _caches(folder)
    pictures = sum(len(_shards(cache).keys()) for cache in caches)
    return Usage(len(caches), pictures, sum(size for cache in caches for _, size in sizes_of(cache)))


def evict(folder: Path | str | None, to_bytes: int, *, unused_since: float | None = None) -> int:
    """Deletes shards, the least recently used first, until at most `to_bytes` are left; the bytes that became free.

    Shards that are being written stay, and those that are not ours to delete; with `unused_since` (seconds since the
    epoch) also those used later. Whoever reads one reads on; its pictures are encoded anew when they are needed.
    Raises InputError as `usage`.
    """
    if to_bytes < 0:
        raise InputError(f"{to_bytes} bytes cannot be left", todo="give 0 or more")
    shards: dict[Path, int] = {}
    for cache in _caches(folder):
        for file, size in sizes_of(cache):
            shards[file.with_suffix("")] = shards.get(file.with_suffix(""), 0) + size
    used = {shard: _last_used(shard) for shard in shards}
    total, freed = sum(shards.values()), 0
    for shard in sorted(shards, key=used.__getitem__):
        left_over = not used[shard]
        if not left_over and (total - freed <= to_bytes or (unused_since is not None and used[shard] >= unused_since)):
            break
        if _delete(shard):
            freed += shards[shard]
    return freed


def verify(folder: Path | str | None = None) -> Verified:
    """Reads every record and checks its SHA-256. Raises as `usage`."""
    pictures = damaged = 0
    for cache in _caches(folder):
        shards = _shards(cache)
        keys = shards.keys()
        for start in range(0, len(keys), AT_ONCE):
            shards.read(keys[start : start + AT_ONCE])
        damaged += shards.damaged
        pictures += shards.damaged + len(shards.keys())
    return Verified(pictures, damaged)


def _caches(folder: Path | str | None) -> list[Path]:
    root = Path(folder) if folder is not None else default_folder()
    if not root.is_dir():
        if folder is None:
            return []  # nothing was kept yet
        raise InputError(f"there is no folder {root}", todo="name the folder of a feature cache")
    return [each for each in (root, *sorted(root.iterdir())) if (each / LAYOUT).is_file()]


def _shards(cache: Path) -> Shards:
    layout = read_layout(cache)
    assert layout is not None, "it was there when the folder was listed"
    return Shards(cache, layout, check="always", say=lambda _: None)


def _last_used(shard: Path) -> float:
    """Its payload's time of change, which readers renew; 0 for what a kill has left of a shard."""
    try:
        return shard.with_suffix(PAYLOAD).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _delete(shard: Path) -> bool:
    """Whether it is gone: not while its writer lives, nor where it is another user's."""
    try:
        with shard.with_suffix(INDEX).open("rb") as index:
            fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shard.with_suffix(INDEX).unlink()  # first: a payload without an index is read by nobody
    except (BlockingIOError, PermissionError):
        return False
    except FileNotFoundError:
        pass  # a payload alone: whoever was deleting it was killed
    with suppress(FileNotFoundError):
        shard.with_suffix(PAYLOAD).unlink()
    return True
