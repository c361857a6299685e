"""What all parity tests share: both sides of the same folder, logits held to each other, tensors changed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from isthmus.images.open import picture_of
from isthmus.messages import Message
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.questions import text_of
from isthmus.vlm.splice import Side

TOLERANCE = 1e-4
"""max |difference| of logits in float32."""


def sides(
    name: str,
    reference: Callable[[], Any],
    save: Callable[[Any, Path], str],
    load: Callable[[str], VisionLanguageModel],
) -> tuple[Any, Any, Any, Any]:
    """Fixtures: `theirs`, the `folder` it was saved to, `ours` loaded from it, a copy of the folder for one test."""

    @pytest.fixture(scope="module")
    def theirs() -> Any:
        return reference()

    @pytest.fixture(scope="module")
    def folder(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp(name)
        save(theirs, path)
        return path

    @pytest.fixture(scope="module")
    def ours(folder: Path) -> VisionLanguageModel:
        return load(str(folder))

    @pytest.fixture
    def copied(folder: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return theirs, folder, ours, copied


@torch.no_grad()
def assert_equal_logits(
    ours: VisionLanguageModel, theirs: Any, made: dict[str, Tensor], messages: list[list[Message]], side: Any
) -> None:
    """`made`: the conversations as their processor makes them, padded on that side."""
    expected, found = theirs(**made).logits, logits(ours, messages, side)
    assert found.shape == expected.shape
    real = made["attention_mask"].bool()
    difference = (found - expected)[real].abs().max()
    print(f"max |Δ| of logits {difference:.1e}")
    assert difference <= TOLERANCE
    assert expected[real].std() > 0.5  # else everything would be near everything


@torch.no_grad()
def logits(model: VisionLanguageModel, messages: list[list[Message]], side: Side = "left") -> Tensor:
    """[B, S, V] of ours."""
    pictures = [
        picture_of(part.source, at_least=model.encoder.fit.at_least)
        for each in messages
        for m in each
        for part in m.pictures
    ]
    tokens, extents = None, iter(())
    if pictures:
        features = model.encode(pictures)
        asked = [question for each in messages for question in model.questions(each)]
        tokens = model.connect(features, text_of(asked, features.tokens.device))
        extents = iter(model.extents(features))
    samples = [
        model.sample(each, [next(extents) for m in each for _ in m.pictures], prompt=each[-1].role == "user")
        for each in messages
    ]
    return model.head(model.hidden(model.splice(samples, tokens, side=side)))


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    file = folder / "model.safetensors"
    tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}
    save_file(change(tensors), file, metadata={"format": "pt"})
