"""Folders and hub names: what can be loaded is, what cannot is said in one line."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from isthmus.checkpoints import resolve
from isthmus.errors import CorruptPart, InputError, IsthmusError
from tests.checkpoints.hub import COMMIT, serve

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(2, dtype=torch.bfloat16)}
REPOSITORY = {"config.json": b'{"model_type": "clip"}', "model.safetensors": save(TENSORS), "train.py": b"raise"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))


def fetch(name: str, endpoint: str, home: Path, *, offline: bool = False) -> tuple[int, str, str]:
    """`resolve(name)` in a fresh process, because the hub's client reads its environment at import."""
    code = (
        "import sys; from isthmus.checkpoints import resolve; from isthmus.errors import IsthmusError\n"
        "try: c = resolve(sys.argv[1]); print(c.folder, sorted(c.keys()), sorted(p.name for p in c.folder.iterdir()))\n"
        "except IsthmusError as e: print(e, file=sys.stderr); sys.exit(e.exit_code)"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "ISTHMUS_CACHE": str(home / "cache"),
        **({"HF_HUB_OFFLINE": "1"} if offline else {}),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, name], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_hub_name_is_fetched_once_without_code_and_then_works_offline(tmp_path: Path) -> None:
    with serve({"owner/model": REPOSITORY}) as hub:
        code, out, error = fetch("owner/model", hub.url, tmp_path)
        assert code == 0, error
        assert "['a.weight', 'b.bias'] ['config.json', 'model.safetensors']" in out
        assert sorted(hub.sent) == ["config.json", "model.safetensors"]
        assert fetch(f"owner/model@{COMMIT}", hub.url, tmp_path)[0] == 0
    assert fetch("owner/model", hub.url, tmp_path, offline=True) == (0, out, "")


def test_a_broken_download_is_not_trusted_and_the_next_one_completes(tmp_path: Path) -> None:
    with serve({"owner/model": REPOSITORY}) as hub:
        hub.cut = {"model.safetensors"}
        code, _, error = fetch("owner/model", hub.url, tmp_path)
        assert code == 2
        assert "Traceback" not in error
        assert "cannot be reached" in error.splitlines()[-1]  # above it, the client may say that it tries again
        assert fetch("owner/model", hub.url, tmp_path, offline=True)[0] == 2
        hub.cut = set()
        code, out, error = fetch("owner/model", hub.url, tmp_path)
        assert code == 0, error
        assert "['a.weight', 'b.bias']" in out


@pytest.mark.parametrize(
    ("name", "says"),
    [("owner/other", "the hub knows no owner/other"), ("owner/model@nowhere", "has no revision nowhere")],
)
def test_what_the_hub_does_not_have_is_said(name: str, says: str, tmp_path: Path) -> None:
    with serve({"owner/model": REPOSITORY}) as hub:
        code, _, error = fetch(name, hub.url, tmp_path)
    assert code == 2
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_network_a_hub_name_fails_in_one_line(offline: bool, tmp_path: Path) -> None:
    code, _, error = fetch("owner/model", "http://127.0.0.1:9", tmp_path, offline=offline)
    assert code == 2
    assert "owner/model is not in the cache" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["", "no-such-folder", "a/b/c", "owner/mo del"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="isthmus models"):
        resolve(name)


def test_sharded_weights_read_as_one(tmp_path: Path) -> None:
    index = {"weight_map": {"a.weight": "1.safetensors", "b.bias": "2.safetensors"}}
    save_file({"a.weight": TENSORS["a.weight"]}, tmp_path / "1.safetensors")
    save_file({"b.bias": TENSORS["b.bias"]}, tmp_path / "2.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint = resolve(str(tmp_path))
    assert checkpoint.keys() == set(TENSORS)
    assert torch.equal(checkpoint.tensors("a.")["weight"], TENSORS["a.weight"])
    assert checkpoint.tensors("b.")["bias"].dtype == torch.bfloat16
    (tmp_path / "2.safetensors").unlink()
    with pytest.raises(CorruptPart, match=r"lacks 2\.safetensors"):
        resolve(str(tmp_path)).tensors()


def test_the_fingerprint_is_of_the_weights_not_of_the_name(tmp_path: Path) -> None:
    for name, tensors in (("x", TENSORS), ("y", TENSORS), ("z", {**TENSORS, "b.bias": torch.zeros(2)})):
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
    x, y, z = (resolve(str(tmp_path / name)).fingerprint for name in "xyz")
    assert x == y != z


def test_a_changed_file_of_the_same_size_and_time_has_another_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path)
    before, stamp = resolve(str(tmp_path)).fingerprint, path.stat()
    assert resolve(str(tmp_path)).fingerprint == before
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert resolve(str(tmp_path)).fingerprint != before


def test_a_pickle_of_tensors_is_converted_and_tied_weights_survive(tmp_path: Path) -> None:
    tied = torch.randn(4, 4)
    torch.save({"embed.weight": tied, "head.weight": tied, "half": tied[:2]}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    checkpoint = resolve(str(tmp_path))
    assert checkpoint.config == {"model_type": "bert"}
    read = checkpoint.tensors()
    assert torch.equal(read["head.weight"], tied)
    assert torch.equal(read["half"], tied[:2])
    assert not (tmp_path / "model.safetensors").exists(), "the user's folder was written to"


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("open('ran', 'w')",))


@pytest.mark.parametrize("content", [pickle.dumps({"weight": Bomb()}), b"", b"not a pickle", pickle.dumps([1, 2])])
def test_a_pickle_of_anything_else_is_refused_and_runs_nothing(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(CorruptPart) as caught:
        resolve(str(tmp_path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, save(TENSORS)[:-3]])
def test_damaged_safetensors_are_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(IsthmusError, match="damaged"):
        resolve(str(tmp_path)).tensors()


def test_a_folder_without_weights_or_config_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorruptPart, match=r"no model\.safetensors"):
        resolve(str(tmp_path)).tensors()
    with pytest.raises(CorruptPart, match=r"no config\.json"):
        _ = resolve(str(tmp_path)).config
