"""The cache of features under many processes: killed at any byte, writing the same pictures at once, evicting."""

import os
import random
import resource
import signal
from pathlib import Path

import pytest
import torch

from isthmus.training.feature_cache import FeatureCache, Verified, evict, shards, usage, verify
from isthmus.training.feature_cache.shards import INDEX

from .patches import Patches, ended, equal, files, forked, image
from .test_feature_cache import no_fsync, opened, parts, truth

__all__ = ["no_fsync"]

PICTURES = [image(seed) for seed in range(12)]
BATCH = 3


class KilledAt:
    """os.pwrite of a process that is killed when it has written so many bytes."""

    def __init__(self, cut: int) -> None:
        self.left, self.pwrite = cut, os.pwrite

    def __call__(self, file: int, data: memoryview, offset: int) -> int:
        done = self.pwrite(file, data[: self.left], offset)
        self.left -= done
        if done < len(data):
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def write_all(cache: FeatureCache) -> None:
    for at in range(0, len(PICTURES), BATCH):
        cache.encode(PICTURES[at : at + BATCH])


def test_killed_at_any_byte_no_finished_batch_is_lost_and_nothing_wrong_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "whole") as cache:
        counting = KilledAt(1 << 40)
        monkeypatch.setattr(os, "pwrite", counting)
        write_all(cache)
        monkeypatch.undo()
    total = (1 << 40) - counting.left
    exact = truth(PICTURES)
    # Everywhere, and in the last write of a batch in particular, that of its entries.
    cuts = {*random.Random(0).sample(range(total), 25), 0, total - 1, total - 99, total - 100, total - 301}
    for cut in sorted(cuts):
        folder = tmp_path / str(cut)
        cache = opened(folder)
        told, telling = os.pipe()

        def work(folder: Path = folder, cut: int = cut, telling: int = telling) -> None:
            cache = opened(folder)
            os.pwrite = KilledAt(cut)
            for at in range(0, len(PICTURES), BATCH):
                cache.encode(PICTURES[at : at + BATCH])
                os.write(telling, b".")

        child = forked(work)
        os.close(telling)
        assert ended(child) == -signal.SIGKILL
        finished = len(os.read(told, 100)) * BATCH
        os.close(told)
        assert finished <= usage(folder).pictures <= finished + BATCH
        assert verify(folder).damaged == 0
        assert equal(cache.encode(PICTURES), exact)
        assert finished <= cache.stats.hits < len(PICTURES)
        assert verify(folder) == Verified(len(PICTURES), 0)


def test_killed_from_outside_while_it_writes(tmp_path: Path) -> None:
    exact = truth(PICTURES)
    for seed in range(4):
        folder = tmp_path / str(seed)
        told, telling = os.pipe()

        def work(folder: Path = folder, telling: int = telling) -> None:
            cache = opened(folder)
            at = 0
            while True:
                cache.encode([image(at)])
                os.write(telling, b".")
                at += 1

        child = forked(work)
        finished = 0
        while finished < 3 + 5 * seed:
            finished += len(os.read(told, 100))
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
        os.close(telling)
        finished += len(os.read(told, 1 << 16))
        os.close(told)
        assert finished <= usage(folder).pictures <= finished + 1
        assert verify(folder).damaged == 0
        assert equal(opened(folder).encode(PICTURES), exact)


def test_many_write_the_same_pictures_while_others_evict(tmp_path: Path) -> None:
    """Four writers in different orders, started together; a fifth process evicts and verifies all the while."""
    folder = tmp_path / "features"
    opened(folder)
    exact = [truth([each]) for each in PICTURES]
    started, start = os.pipe()

    def write(seed: int) -> None:
        cache = opened(folder, limit_bytes=100_000)
        order = list(range(len(PICTURES))) * 3
        random.Random(seed).shuffle(order)
        os.read(started, 1)
        for at in order:
            assert equal(cache.encode([PICTURES[at]]), exact[at])
            if at == seed:
                cache.close()  # so that there is something to evict
        assert cache.said == [] or "reached their limit" in cache.said[0]

    def upkeep() -> None:
        os.read(started, 1)
        for _ in range(30):
            evict(folder, 10_000)
            assert verify(folder).damaged == 0

    children = [forked(lambda seed=seed: write(seed)) for seed in range(4)] + [forked(upkeep)]
    os.write(start, b"....." * 2)
    assert [ended(child) for child in children] == [0] * 5
    cache = opened(folder)
    assert equal(cache.encode(PICTURES), truth(PICTURES))
    assert verify(folder) == Verified(len(PICTURES), 0)
    evict(folder, 0)
    assert usage(folder).bytes <= sum(path.stat().st_size for path in folder.iterdir())


def test_two_ranks_with_the_same_pictures_do_not_keep_them_twice_for_long(tmp_path: Path) -> None:
    """One writes first: the other finds it, though it was opened before."""
    one, other = opened(tmp_path / "f"), opened(tmp_path / "f")
    assert ended(forked(lambda: one.encode(PICTURES))) == 0
    assert equal(other.encode(PICTURES), truth(PICTURES))
    assert (other.stats.hits, len(parts(tmp_path / "f", INDEX))) == (12, 1)


def test_a_fork_does_not_write_into_its_parents_shard(tmp_path: Path) -> None:
    cache = opened(tmp_path / "f")
    cache.encode(PICTURES[:2])
    assert ended(forked(lambda: cache.encode(PICTURES[2:4]))) == 0
    cache.encode(PICTURES[4:6])
    assert len(parts(tmp_path / "f", INDEX)) == 2
    assert verify(tmp_path / "f") == Verified(6, 0)
    assert equal(opened(tmp_path / "f").encode(PICTURES[:6]), truth(PICTURES[:6]))


class Rows(torch.utils.data.Dataset):
    def __init__(self, cache: FeatureCache, paths: list[Path]) -> None:
        self.cache, self.paths = cache, paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> tuple[int, torch.Tensor]:
        return at, self.cache.encode([self.paths[at]]).tokens[0]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_of_a_loader_share_it(tmp_path: Path) -> None:
    paths = files(tmp_path / "photos", 12)
    cache = opened(tmp_path / "f")
    loader = torch.utils.data.DataLoader(Rows(cache, paths), batch_size=None, num_workers=2)
    exact = [truth([path]).tokens[0] for path in paths]
    for _ in range(2):
        read = dict(iter(loader))
        assert all(torch.equal(read[at], exact[at]) for at in range(12))
    cache.encode(paths)
    assert (cache.stats.hits, cache.stats.misses) == (12, 0)


@pytest.mark.parametrize("limit", [0, 150, 5_000, 20_000])
def test_the_systems_own_refusal(limit: int, tmp_path: Path) -> None:
    """A limit on the size of files cuts a write short and then refuses it, as a full disk does."""
    folder = tmp_path / "f"
    opened(folder)

    def work() -> None:
        cache = opened(folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        for _ in range(2):
            for at in range(0, len(PICTURES), BATCH):
                assert equal(cache.encode(PICTURES[at : at + BATCH]), truth(PICTURES[at : at + BATCH]))
        (said,) = cache.said
        assert "File too large" in said

    assert ended(forked(work)) == 0
    assert verify(folder).damaged == 0
    assert equal(opened(folder, Patches()).encode(PICTURES), truth(PICTURES))


def test_a_shard_evicted_between_its_listing_and_its_reading_is_forgotten_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known of it before goes too."""
    folder = tmp_path / "f"
    other, cache = opened(folder), opened(folder)
    other.encode(PICTURES[:2])
    cache.encode(PICTURES[:2])
    other.encode(PICTURES[2:4])  # so that there is more of a shard that is known
    other.close()
    listed = shards.sizes_of(folder)

    def gone(_: Path) -> object:
        evict(folder, 0)
        return listed

    monkeypatch.setattr(shards, "sizes_of", gone)
    cache._shards.refresh()
    monkeypatch.undo()
    assert not cache._shards.keys()
    assert equal(cache.encode(PICTURES[:4]), truth(PICTURES[:4]))
