"""What all parity tests share: our logits for whole conversations, and folders with their tensors changed."""

from collections.abc import Callable
from pathlib import Path

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
