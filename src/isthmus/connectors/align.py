"""Tokens that cannot leave the language model's own words: each is a mixture of word embeddings."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.trainable import Trainable
from isthmus.vision.features import Features, Frame


class AlignConnector(Trainable):
    """What `inner` makes, each token replaced by the mean of `words`, weighted by how near they are.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, M, D_out] and scores [B, M, W] (Tokens), M being inner's. `words`
    [W, D_out]: rows of the language model's embeddings, kept beside the weights and never trained. Scores are minus
    half the squared distance, times `sharpness`, but for what all words share; their softmax weighs the words. So a
    token is never longer than words are, and a language model that was not trained on it can read it.
    Source: AlignVLM (Masry et al., 2025), where a linear layer scores the whole vocabulary instead.
    """

    words: Tensor

    def __init__(self, words: Tensor, inner: Any, *, sharpness: float = 4.0, trainable: bool = True) -> None:
        """Raises ValueError where `inner` speaks in another width than the words."""
        super().__init__(trainable)
        if inner.width_out != words.shape[1]:
            raise ValueError(f"words {words.shape[1]} wide for tokens {inner.width_out} wide")
        self.width_in, self.width_out = int(inner.width_in), int(inner.width_out)
        self.sharpness = sharpness
        self.inner: nn.Module = inner
        self.register_buffer("words", words.detach().clone().float())
        if not trainable:
            self.requires_grad_(False).eval()

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:
        count: int = self.inner.num_tokens(n, frame)  # type: ignore[operator]
        return count

    def forward(self, features: Features, text: Text | None = None) -> Tokens:
        near: Tokens = self.inner(features, text)
        return self.in_words(near.tokens, near.mask)

    def in_words(self, near: Tensor, mask: Tensor) -> Tokens:
        """near [B, M, D_out] -> the mixtures of words they are near, with their scores."""
        with _exactly(near.device.type):  # bf16 has too few digits for near neighbours
            words = self.words.float()
            scores = self.sharpness * (near.float() @ words.T - words.square().sum(1) / 2)
        return Tokens(self.mixed(scores.softmax(-1)).to(near.dtype), mask, scores)

    def mixed(self, weights: Tensor) -> Tensor:
        """weights [..., W] -> the words' means so weighed [..., D_out], float32."""
        with _exactly(weights.device.type):
            return weights.float() @ self.words.float()


def _exactly(device: str) -> AbstractContextManager[object]:
    """No autocast, where there could be one."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
