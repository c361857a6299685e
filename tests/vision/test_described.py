"""ONNX Runtime's way of describing pictures is torch's, and whatever is wrong with it, torch is there."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.checkpoints import resolve
from isthmus.images.views import Box, View, Views
from isthmus.vision import described, efficientnet
from isthmus.vision.described import Describe, session_for
from isthmus.vision.efficientnet import EfficientNetEncoder, load_efficientnet

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EfficientNetEncoder:
    loaded = load_efficientnet(resolve("default/efficientnet-lite0"), size=96)
    monkeypatch.setattr(described, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(efficientnet, "PAYS", 4)
    return loaded


def views(count: int, side: int = 96, seed: int = 0) -> list[Views]:
    random = np.random.default_rng(seed)
    pixels = random.standard_normal((count, 3, side, side)).astype(np.float32)
    return [Views((View(each, Box(0, 0, side, side)),), side, side) for each in pixels]


def by_torch(encoder: EfficientNetEncoder, some: list[Views]) -> torch.Tensor:
    with torch.no_grad():
        return Describe(encoder.net.levels)(torch.from_numpy(np.stack([each.views[0].pixels for each in some])))


def test_it_takes_over_and_computes_the_same(encoder: EfficientNetEncoder, tmp_path: Path) -> None:
    few, many = views(3), views(9, seed=1)
    torch.testing.assert_close(encoder.describe(few), by_torch(encoder, few))
    assert not (tmp_path / "cache").exists()
    encoder.describe(many)
    assert list(encoder._sessions) == [96]
    assert encoder._sessions[96] is not None
    found, expected = encoder.describe(many), by_torch(encoder, many)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert torch.equal(encoder.describe(many[3:5]), found[3:5])  # whatever goes with it
    mixed = [*views(2), *views(2, side=64), *views(2, seed=2)]
    torch.testing.assert_close(encoder.describe(mixed)[2:4], by_torch(encoder, mixed[2:4]))
    assert len(list((tmp_path / "cache/onnx").iterdir())) == 1


def test_the_graph_is_made_once(encoder: EfficientNetEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert session_for(Describe(encoder.net.levels), "ab" * 8, 96) is not None
    monkeypatch.setattr(described, "_export", None)
    assert session_for(Describe(encoder.net.levels), "ab" * 8, 96) is not None


def test_a_damaged_graph_is_removed_and_torch_goes_on(encoder: EfficientNetEncoder, tmp_path: Path) -> None:
    describe = Describe(encoder.net.levels)
    assert session_for(describe, "ab" * 8, 96) is not None
    (file,) = (tmp_path / "cache/onnx").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="encoded by torch"):
        assert session_for(describe, "ab" * 8, 96) is None
    assert session_for(describe, "ab" * 8, 96) is not None


def test_one_that_computes_otherwise_is_not_used(
    encoder: EfficientNetEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(described, "FARTHEST", 0.0)
    with pytest.warns(UserWarning, match="otherwise than torch"):
        assert session_for(Describe(encoder.net.levels), "ab" * 8, 96) is None
    assert not list((tmp_path / "cache/onnx").iterdir())
    some = views(9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(encoder.describe(some), by_torch(encoder, some))


@pytest.mark.parametrize("why", ["told not to", "no package"])
def test_without_it_torch_does_the_work(
    encoder: EfficientNetEncoder, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "told not to":
        monkeypatch.setenv(described.OFF, "1")
    else:
        monkeypatch.setattr(described, "find_spec", lambda _: None)
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    some = views(9)
    torch.testing.assert_close(encoder.describe(some), by_torch(encoder, some))
    assert not (tmp_path / "cache").exists()


def test_other_numbers_than_float32_are_torchs(encoder: EfficientNetEncoder, tmp_path: Path) -> None:
    encoder.net.to(torch.bfloat16)
    encoder.describe(views(9))
    assert not encoder._sessions
    assert not (tmp_path / "cache").exists()
