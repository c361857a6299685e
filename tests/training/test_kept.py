"""The cache of features: made once, made again where damaged, apart by key."""

from pathlib import Path

import pytest
import torch

from isthmus.training.kept import kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path))
    return tmp_path


class Maker:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, torch.Tensor]:
        self.times += 1
        return {"stored": torch.arange(6, dtype=torch.float16) * self.times}


def test_what_was_made_is_not_made_again() -> None:
    make = Maker()
    first, again = kept(["a", 1], make), kept(["a", 1], make)
    assert torch.equal(first["stored"], again["stored"])
    assert make.times == 1
    kept(["a", 2], make)
    assert make.times == 2


@pytest.mark.parametrize("damage", [b"", b"no tensors"])
def test_a_damaged_file_is_made_again(cache: Path, damage: bytes) -> None:
    make = Maker()
    kept(["a"], make)
    (path,) = (cache / "features").glob("*.safetensors")
    path.write_bytes(damage or path.read_bytes()[:-4])
    kept(["a"], make)
    assert make.times == 2
    kept(["a"], make)
    assert make.times == 2
