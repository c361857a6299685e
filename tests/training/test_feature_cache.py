"""The cache of frozen features: what is read is what the encoder gave, found by content, refused to others."""

import errno
import json
import os
import pickle
import shutil
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import CorruptPart, FitMismatch, InputError, MissingPart, PictureError
from isthmus.images.fits import Native
from isthmus.images.open import picture_of
from isthmus.training.feature_cache import FeatureCache, Usage, Verified, evict, keys, shards, usage, verify
from isthmus.training.feature_cache.folder import LAYOUT
from isthmus.training.feature_cache.shards import INDEX, PAYLOAD
from isthmus.vision.features import Features
from isthmus.vlm.pictures import known

from ..vlm import models
from .patches import Patches, equal, files, image

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
PICTURES = [image(seed) for seed in range(8)]


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power, and some hundred folders are made."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "features"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files were last changed a minute ago."""
    now = keys.time.time_ns
    monkeypatch.setattr(keys.time, "time_ns", lambda: now() + 60_000_000_000)


def opened(folder: Path, encoder: Any = None, *args: Any, **settings: Any) -> FeatureCache:
    """With what it says in `cache.said`, and without the batch that it tries the encoder with."""
    encoder = encoder or Patches()
    said: list[str] = []
    cache = FeatureCache.open(folder, encoder, *args, **{"leave_free": 0, "say": said.append, **settings})
    cache.said = said
    if isinstance(encoder, Patches):
        encoder.batches.clear()
    return cache


def truth(pictures: Any, encoder: Any = None) -> Features:
    encoder = encoder or Patches()
    return encoder.encode([encoder.fit(picture_of(each)) for each in pictures])


def parts(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"*{suffix}"))


# What is read


@settings(max_examples=40)
@given(
    batches=st.lists(st.lists(st.sampled_from(range(8)), min_size=1, max_size=6), min_size=1, max_size=5),
    dtype=st.sampled_from(DTYPES),
    frames=st.booleans(),
    again=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_any_batch_is_what_the_encoder_gives_bit_for_bit_and_no_picture_is_encoded_twice(
    batches: list[list[int]], dtype: torch.dtype, frames: bool, again: list[bool]
) -> None:
    encoder = Patches(dtype=dtype, frames=frames)
    with tempfile.TemporaryDirectory() as name:
        cache = opened(Path(name) / "f", encoder)
        seen: set[int] = set()
        for batch, anew in zip(batches, again, strict=False):
            encoder.batches.clear()
            pictures = [PICTURES[at] for at in batch]
            assert equal(cache.encode(pictures), truth(pictures, replace(encoder, batches=[])))
            new = set(batch) - seen
            assert encoder.batches == ([len(new)] if new else [])
            seen |= new
            if anew:
                cache = opened(Path(name) / "f", encoder)
        assert usage(Path(name) / "f").pictures == len(seen)


@pytest.mark.parametrize("kept", DTYPES)
@pytest.mark.parametrize("computed", DTYPES)
def test_every_epoch_sees_the_same_numbers_whatever_they_are_kept_in(
    kept: torch.dtype, computed: torch.dtype, folder: Path
) -> None:
    cache = opened(folder, Patches(dtype=computed), kept)
    exact, first, second = truth(PICTURES, Patches(dtype=computed)), cache.encode(PICTURES), cache.encode(PICTURES)
    assert equal(first, second)
    assert equal(first, replace(exact, tokens=exact.tokens.to(kept).to(computed)))
    narrower = kept != computed and kept != torch.float32
    assert len(cache.said) == narrower


def test_what_a_narrow_dtype_loses_is_said(folder: Path) -> None:
    assert opened(folder / "b", None, torch.bfloat16).said == [
        "features are kept as bfloat16, not float32: a number changes by up to 1/256 of itself"
    ]
    assert (
        "by up to 1/2048 of itself, one below 6e-05 by up to 3e-08" in opened(folder / "h", None, torch.float16).said[0]
    )


def test_tokens_that_a_dtype_cannot_hold_are_refused(folder: Path) -> None:
    cache = opened(folder, Patches(scale=1e6), torch.float16)
    with pytest.raises(InputError, match=r"exceed what float16 can hold \(keep them as bfloat16"):
        cache.encode(PICTURES)
    assert usage(folder).pictures == 0


def test_a_transformer_and_a_model_that_it_stands_in_for(folder: Path) -> None:
    model = models.model()
    pictures = [models.opened(models.picture(seed)) for seed in range(4)]
    cache = opened(folder, model.encoder)
    fresh, first, second = model.encode(pictures), cache.encode(pictures), cache.encode(pictures)
    assert equal(fresh, first) and equal(first, second)
    learned = [model.connect(features).tokens for features in (fresh, second)]
    assert torch.equal(*learned)
    learned[1].sum().backward()


def test_autocast_around_it_changes_nothing(folder: Path) -> None:
    encoder = models.encoder()
    exact = encoder.encode([encoder.fit(picture_of(each)) for each in PICTURES])
    with torch.autocast("cpu", torch.bfloat16):
        cache = opened(folder, encoder)
        assert equal(cache.encode(PICTURES), exact)
    assert equal(cache.encode(PICTURES), exact)


def test_an_encoder_that_was_changed_and_masks_with_holes_are_noticed(folder: Path) -> None:
    encoder = Patches()
    cache = opened(folder, encoder)
    encoder.dtype = torch.float16
    with pytest.raises(InputError, match="it was changed since the cache was opened"):
        cache.encode(PICTURES)

    class Holes(Patches):
        def encode(self, views: Any) -> Features:
            features = super().encode(views)
            features.mask[:, 1] = False
            return features

    with pytest.raises(InputError, match="masks have holes"):
        opened(folder / "holes", Holes()).encode(PICTURES)


def test_reading_copies_nothing_to_the_processor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened(folder)
    cache.encode(PICTURES)
    monkeypatch.setattr(torch.Tensor, "cpu", None)
    cache.encode(PICTURES)


def test_other_defaults_of_torch_do_not_matter(folder: Path) -> None:
    cache = opened(folder)
    exact = cache.encode(PICTURES)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            assert equal(cache.encode(PICTURES), exact)
    finally:
        torch.set_default_dtype(torch.float32)


def test_no_pictures_are_the_encoders_business(folder: Path) -> None:
    with pytest.raises(InputError, match="nothing to encode"):
        opened(folder, models.encoder()).encode([])


def test_hits_and_misses_are_counted(folder: Path) -> None:
    cache = opened(folder)
    cache.encode(PICTURES[:3])
    cache.encode([*PICTURES[:5], PICTURES[0]])
    assert (cache.stats.hits, cache.stats.misses, cache.stats.kept, cache.stats.damaged) == (3, 5, 5, 0)


def test_what_is_missing_is_encoded_in_one_batch_in_order(folder: Path) -> None:
    encoder = Patches()
    cache = opened(folder, encoder)
    cache.encode([PICTURES[2]])
    seen: list[int] = []
    encoder.fit = lambda picture: seen.append(picture.width) or Patches().fit(picture)
    encoder.fit.at_least = None
    encoder.fit.fingerprint = Patches().fit.fingerprint
    cache.encode([PICTURES[at] for at in (5, 2, 1, 5, 7)])
    assert seen == [PICTURES[at].width for at in (5, 1, 7)]
    assert encoder.batches == [1, 3]


# What a picture is known by


@pytest.mark.usefixtures("later")
def test_copies_and_renamed_files_are_known_and_changed_ones_are_not(folder: Path, tmp_path: Path) -> None:
    a, b = files(tmp_path / "photos", 2)
    encoder = Patches()
    cache = opened(folder, encoder)
    cache.encode([a, b])
    copy = tmp_path / "Ünïcode 复制.PNG"
    shutil.copy(a, copy)
    renamed = b.rename(tmp_path / "photos/other.png")
    assert equal(cache.encode([copy, str(renamed), a]), truth([a, renamed, a]))
    assert encoder.batches == [2]
    # Another picture of the same size under the same name with the same date.
    before, was = a.stat(), a.read_bytes()
    other = renamed.read_bytes()
    long = max(len(was), len(other))
    a.write_bytes(was + bytes(long - len(was)))
    os.utime(a, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert equal(cache.encode([a]), truth([a]))
    a.write_bytes(other + bytes(long - len(other)))
    os.utime(a, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert equal(cache.encode([a]), truth([renamed]))


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("fresh", [True, False])
def test_a_file_that_was_seen_is_not_read_again(
    fresh: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = files(tmp_path / "photos", 3)
    cache = opened(folder)
    cache.encode(paths)
    cache = opened(folder) if fresh else cache
    monkeypatch.setattr(keys.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert equal(cache.encode(paths), truth(paths))
    assert cache.stats.hits == 3
    monkeypatch.chdir(tmp_path)
    assert equal(cache.encode(["photos/0.png"]), truth(paths[:1]))


def test_a_file_changed_just_now_is_read_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tick of the clock it could change once more and look the same."""
    paths = files(tmp_path / "photos", 1)
    now = paths[0].stat().st_ctime_ns
    monkeypatch.setattr(keys.time, "time_ns", lambda: now + 1_000_000_000)
    cache = opened(folder)
    cache.encode(paths)
    read: list[Any] = []
    hashed = keys.hashlib.file_digest
    monkeypatch.setattr(keys.hashlib, "file_digest", lambda *given: read.append(given) or hashed(*given))
    cache.encode(paths)
    assert len(read) == 1


def test_a_file_that_changes_while_it_is_looked_at_is_kept_under_what_it_became(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = files(tmp_path / "photos", 2)
    was = first.read_bytes()
    cache = opened(folder)
    content = cache._files.content

    def then_changed(path: Path) -> bytes:
        key = content(path)
        path.write_bytes(second.read_bytes())
        return key

    monkeypatch.setattr(cache._files, "content", then_changed)
    assert equal(cache.encode([first]), truth([second]))
    monkeypatch.undo()
    assert equal(cache.encode([was]), truth([was]))
    assert equal(cache.encode([second]), truth([second]))
    assert cache.stats.hits == 1


def test_all_kinds_of_sources(folder: Path, tmp_path: Path) -> None:
    (path,) = files(tmp_path / "photos", 1)
    encoder = Patches()
    cache = opened(folder, encoder)
    as_file = [path, str(path), path.read_bytes()]
    as_pixels = [image(0), picture_of(image(0)), known(image(0), encoder.fit), Image.open(path)]
    assert equal(cache.encode([*as_file, *as_pixels]), truth([path] * 7))
    assert cache.stats.misses == 2  # a file is known by its bytes, without being opened


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "missing"),
        (lambda path: path.mkdir(), "not a picture"),
        (lambda path: os.mkfifo(path), "not a picture"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"words"), "not a picture"),
    ],
)
def test_what_is_no_picture_is_said_by_its_name(make: Any, reason: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "图.jpg"
    make(path)
    cache = opened(folder)
    with pytest.raises(PictureError) as raised:
        cache.encode([PICTURES[0], path])
    assert raised.value.reason == reason
    assert "图.jpg" in str(raised.value) and len(str(raised.value).splitlines()) == 1
    with pytest.raises(PictureError):
        cache.encode([f"{tmp_path}/null\0byte"])


# Whose it is


def test_a_folder_is_refused_to_others(folder: Path) -> None:
    opened(folder).encode(PICTURES)
    with pytest.raises(FitMismatch, match="were made with the Fit"):
        opened(folder, Patches(fit=Native(patch=4, max_tokens=20), fingerprint="with it"))
    with pytest.raises(InputError, match="made by the encoder patches: this one is another"):
        opened(folder, Patches(fingerprint="another"))
    with pytest.raises(InputError, match="kept float32, not float16"):
        opened(folder, None, torch.float16)
    with pytest.raises(InputError, match="computed float32, not bfloat16"):
        opened(folder, Patches(dtype=torch.bfloat16), torch.float32)
    assert equal(opened(folder).encode(PICTURES), truth(PICTURES))


def test_a_folder_of_something_else_is_left_alone(folder: Path) -> None:
    files(folder, 1)
    with pytest.raises(InputError, match=r"is no feature cache: it holds 0\.png"):
        opened(folder)
    assert [each.name for each in folder.iterdir()] == ["0.png"]
    with pytest.raises(InputError):
        opened(folder / "0.png")


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"version": 1}', '{"version": 2, "more": true}'])
def test_a_folder_that_cannot_say_what_it_holds_is_refused(told: str, folder: Path) -> None:
    opened(folder)
    (folder / LAYOUT).write_text(told)
    with pytest.raises(CorruptPart, match="delete"):
        opened(folder)
    with pytest.raises(CorruptPart):
        usage(folder)


def test_in_the_default_folder_each_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path))
    assert usage() == Usage(0, 0, 0)
    for made in ({}, {"fingerprint": "another"}, {"dtype": torch.bfloat16}, {"frames": False}, {}):
        cache = FeatureCache.open(None, Patches(**made), leave_free=0)
        assert equal(cache.encode(PICTURES), truth(PICTURES, Patches(**made)))
    assert (usage().caches, usage().pictures) == (4, 32)
    assert verify() == Verified(32, 0)
    assert evict(None, 0) and usage().bytes == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"dtype": torch.int8}, "cannot be kept as torch.int8"), ({"limit_bytes": 0}, "the limit is 0 bytes")],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], said: str, folder: Path) -> None:
    with pytest.raises(InputError, match=said):
        FeatureCache.open(folder, Patches(), **settings)
    with pytest.raises(InputError, match="tokens are float64"):
        FeatureCache.open(folder, Patches(dtype=torch.float64))
    for work in (usage, verify, lambda place: evict(place, 1)):
        with pytest.raises(InputError, match="there is no folder"):
            work(folder / "nowhere")
    with pytest.raises(InputError, match="-1 bytes"):
        evict(None, -1)


# Damage


@settings(max_examples=60)
@given(data=st.data(), suffix=st.sampled_from([PAYLOAD, INDEX]), how=st.sampled_from(["flip", "cut", "gone", "zeros"]))
def test_no_damage_ever_gives_other_features(data: Any, suffix: str, how: str) -> None:
    exact = truth(PICTURES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "f"
        opened(folder).encode(PICTURES)
        (path,) = parts(folder, suffix)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        match how:
            case "flip":
                content[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del content[at:]
            case "zeros":  # as a power cut leaves what had not reached the disk
                content[at:] = bytes(len(content) - at)
        path.write_bytes(content)
        if how == "gone":
            path.unlink()
        before = path.read_bytes() if path.exists() else b""
        cache = opened(folder)
        assert equal(cache.encode(PICTURES), exact)
        assert len(cache.said) == bool(cache.stats.damaged)
        assert cache.stats.hits + cache.stats.misses == len(PICTURES)
        cache.close()
        assert verify(folder) == Verified(len(PICTURES), 0), "what was damaged is dropped and made again"
        again = opened(folder)
        assert equal(again.encode(PICTURES), exact)
        assert again.stats.hits == len(PICTURES) and not again.said
        if suffix == PAYLOAD and path.exists():
            assert path.read_bytes() == before, "nobody writes into a shard of another"


def spoil(folder: Path) -> None:
    (path,) = parts(folder, PAYLOAD)
    with path.open("rb+") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 1]))


def test_damage_is_said_and_the_record_made_again(folder: Path) -> None:
    opened(folder).encode(PICTURES)
    spoil(folder)
    cache = opened(folder)
    cache.encode(PICTURES)
    (said,) = cache.said
    assert "is damaged: a record does not have its SHA-256; what it held is made again" in said
    assert (cache.stats.damaged, cache.stats.misses) == (1, 1)


def test_when_records_are_checked_is_an_argument(folder: Path) -> None:
    opened(folder).encode(PICTURES)
    first, always = opened(folder), opened(folder, verify="always")
    first.encode(PICTURES), always.encode(PICTURES)
    spoil(folder)
    assert not equal(opened(folder, verify="never").encode(PICTURES), truth(PICTURES))
    first.encode(PICTURES)
    assert first.stats.damaged == 0
    assert equal(always.encode(PICTURES), truth(PICTURES))
    assert always.stats.damaged == 1


def test_verify_finds_and_drops_what_is_damaged(folder: Path) -> None:
    opened(folder).encode(PICTURES)
    spoil(folder)
    assert verify(folder) == Verified(8, 1)
    assert verify(folder) == Verified(7, 0)


@pytest.fixture
def twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two shards with the same pictures, of writers who began at once."""
    with opened(folder) as one, opened(folder) as other:
        monkeypatch.setattr(other._shards, "refresh", lambda: None)
        one.encode(PICTURES)
        other.encode(PICTURES)
    return parts(folder, PAYLOAD)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_second_copy_serves_where_the_first_is_damaged(damaged: int, folder: Path, twice: list[Path]) -> None:
    zero(twice[damaged])
    cache = opened(folder)
    assert equal(cache.encode(PICTURES), truth(PICTURES))
    assert (cache.stats.hits, cache.stats.damaged) == (8, 0 if damaged else 8)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_second_copy_is_not_looked_for_where_it_was_evicted(gone: int, folder: Path, twice: list[Path]) -> None:
    cache = opened(folder)
    twice[gone].unlink()
    cache.encode([image(99)])  # takes note of it
    zero(twice[1 - gone])
    assert equal(cache.encode(PICTURES), truth(PICTURES))
    assert (cache.stats.hits, cache.stats.damaged) == (0, 8)


@pytest.mark.parametrize("there", range(0, 100, 7))
def test_an_entry_that_is_half_written_when_it_is_looked_at_is_found_later(there: int, folder: Path) -> None:
    with opened(folder) as cache:
        cache.encode(PICTURES)
    (index,) = parts(folder, INDEX)
    whole = index.read_bytes()
    for half in (whole[: 700 + there], whole[: 700 + there] + bytes(100 - there)):
        index.write_bytes(half)
        reader = opened(folder)
        assert len(reader._shards.keys()) == 7
        index.write_bytes(whole)
        assert equal(reader.encode(PICTURES), truth(PICTURES))
        assert reader.stats.hits == 8


# How much there may be


def test_shards_unused_for_longest_go_first(folder: Path) -> None:
    for at in range(4):
        with opened(folder) as cache:
            cache.encode([PICTURES[at]])
        newest = max(parts(folder, PAYLOAD), key=lambda path: path.stat().st_ctime_ns)
        os.utime(newest, (1000 + at, 1000 + at))
    opened(folder).encode([PICTURES[0]])  # used again
    total = usage(folder).bytes
    freed = evict(folder, total - 1)
    assert freed > 0 and usage(folder).bytes == total - freed
    cache = opened(folder)
    for at, there in enumerate([True, False, True, True]):
        before = cache.stats.hits
        cache.encode([PICTURES[at]])
        assert (cache.stats.hits > before) == there
    assert usage(folder).pictures == 4


def test_the_limit_is_kept_by_evicting_what_no_run_since_has_used(folder: Path) -> None:
    with opened(folder) as cache:
        cache.encode(PICTURES)
    for path in parts(folder, PAYLOAD):
        os.utime(path, (1000, 1000))
    limit = 3 * usage(folder).bytes // 2
    others = [image(seed) for seed in range(100, 130)]
    cache = opened(folder, limit_bytes=limit)
    for at in range(0, 30, 2):
        cache.encode(others[at : at + 2])
        assert usage(folder).bytes <= limit
    (said,) = cache.said
    assert f"reached their limit of {limit} bytes, all in use" in said
    assert not any(path.stat().st_mtime == 1000 for path in parts(folder, PAYLOAD))
    kept = cache.stats.kept
    assert 0 < kept < 30
    assert equal(cache.encode(others), truth(others))
    assert cache.stats.hits == kept, "what this run has kept it keeps: to evict it would serve nobody in an epoch"


def test_who_reads_goes_on_when_all_is_evicted_or_the_folder_deleted(folder: Path) -> None:
    with opened(folder) as cache:
        cache.encode(PICTURES)
        assert evict(folder, 0) == 0, "its writer lives"
        cache.close()
        evict(folder, 0)
        assert not parts(folder, "s")
        assert equal(cache.encode(PICTURES), truth(PICTURES))
        assert cache.stats.misses == 16 and not cache.said
        shutil.rmtree(folder)
        for _ in range(2):
            assert equal(cache.encode(PICTURES), truth(PICTURES))
        (said,) = cache.said
        assert "no longer kept" in said and "No such file" in said


def test_what_a_killed_eviction_leaves_is_cleared_away(folder: Path) -> None:
    with opened(folder) as cache:
        cache.encode(PICTURES)
    (index,) = parts(folder, INDEX)
    index.unlink()
    assert opened(folder).encode(PICTURES) and usage(folder).pictures == 8
    evict(folder, usage(folder).bytes - 1)
    assert verify(folder) == Verified(8, 0) and len(parts(folder, PAYLOAD)) == 1


def test_a_shard_evicted_before_its_writer_holds_it_is_begun_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, flock, evicted = opened(folder), shards.fcntl.flock, []

    def too_late(file: Any, how: int) -> None:
        if not evicted:
            evicted.extend(parts(folder, INDEX))
            evicted[0].unlink()
        flock(file, how)

    monkeypatch.setattr(shards.fcntl, "flock", too_late)
    cache.encode(PICTURES)
    assert evicted and equal(opened(folder).encode(PICTURES), truth(PICTURES))
    assert usage(folder).pictures == 8 and len(parts(folder, PAYLOAD)) == 1


class FullDisk:
    """os.pwrite on a disk with so many bytes left: the last write is a part of what was asked for."""

    def __init__(self, left: int) -> None:
        self.left, self.pwrite = left, os.pwrite

    def __call__(self, file: int, data: Any, offset: int) -> int:
        if not self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = self.pwrite(file, data[: self.left], offset)
        self.left -= done
        return done


@pytest.mark.parametrize("left", [0, 1, 1000, 4000, 10_000])
def test_a_full_disk_ends_the_keeping_and_not_the_work(
    left: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = opened(folder)
    cache.encode(PICTURES[:1])
    monkeypatch.setattr(os, "pwrite", FullDisk(left))
    for _ in range(2):
        for at in range(0, 8, 2):
            assert equal(cache.encode(PICTURES[at : at + 2]), truth(PICTURES[at : at + 2]))
    (said,) = cache.said
    assert "no longer kept" in said and "No space left on device" in said
    monkeypatch.undo()
    assert verify(folder) == Verified(cache.stats.kept, 0)
    assert all(path.stat().st_size % 100 == 0 for path in parts(folder, INDEX))


def test_a_full_disk_can_end_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened(folder, full_disk="raise")
    monkeypatch.setattr(os, "pwrite", FullDisk(50))
    with pytest.raises(MissingPart, match="No space left on device"):
        cache.encode(PICTURES)


def test_others_are_left_room_on_the_disk(folder: Path) -> None:
    cache = opened(folder, leave_free=1 << 60)
    assert equal(cache.encode(PICTURES), truth(PICTURES))
    (said,) = cache.said
    assert f"less than {1 << 60} bytes of its disk would be left" in said
    assert usage(folder).bytes == 0


def test_a_folder_of_another_user_is_read(users_folder: Path) -> None:
    folder = users_folder / "features"
    opened(folder).encode(PICTURES[:4])
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        cache = opened(folder)
        assert equal(cache.encode(PICTURES), truth(PICTURES))
        assert cache.stats.hits == 4
        (said,) = cache.said
        assert "Permission denied" in said
        cache.close()
        assert evict(folder, 0) == 0
    finally:
        folder.chmod(0o755)


def test_it_goes_to_another_process(folder: Path) -> None:
    cache = FeatureCache.open(folder, Patches(), leave_free=0)
    cache.encode(PICTURES)
    other = pickle.loads(pickle.dumps(cache))
    assert equal(other.encode(PICTURES), truth(PICTURES))
    assert other.stats.misses == cache.stats.misses


def test_the_folder_says_what_it_holds(folder: Path) -> None:
    opened(folder, None, torch.float16)
    told = json.loads((folder / LAYOUT).read_text())
    assert (told["encoder"], told["fit"]) == ("patches", Patches().fit.fingerprint)
    assert (told["computed"], told["kept"], told["version"]) == ("float32", "float16", 1)


def test_bytes_of_a_picture_are_enough(folder: Path) -> None:
    stream = BytesIO()
    PICTURES[0].save(stream, "PNG")
    assert equal(opened(folder).encode([stream.getvalue()]), truth([PICTURES[0]]))
