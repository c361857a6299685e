"""Small random features, texts and models of the true architectures, shared by the tests of connectors."""

import torch
from torch import Tensor, nn

from isthmus.connectors import QFormerConfig, Text
from isthmus.vision.features import Features

WIDTH_IN, WIDTH_OUT, WORDS = 12, 10, 40

SMALL = QFormerConfig(
    width_in=WIDTH_IN,
    width_out=WIDTH_OUT,
    width=16,
    layers=3,
    heads=4,
    width_ffn=24,
    queries=5,
    vocabulary=WORDS,
    max_text=12,
    dropout=0.0,
)


def features(*counts: int, seed: int = 0, width: int = WIDTH_IN, dtype: torch.dtype = torch.float32) -> Features:
    """A batch with a picture of each token count, padded to the longest with what should not matter."""
    random = torch.Generator().manual_seed(seed)
    b, n = len(counts), max(counts)
    return Features(
        tokens=torch.randn(b, n, width, generator=random, dtype=dtype),
        mask=torch.arange(n) < torch.tensor(counts)[:, None],
        boxes=torch.zeros(b, n, 4),
        pooled=torch.zeros(b, width),
    )


def texts(*counts: int, seed: int = 0, words: int = WORDS) -> Text:
    """A right-padded text of each token count; padding is random words, which should not matter."""
    random = torch.Generator().manual_seed(seed)
    t = max(counts)
    ids = torch.randint(3, words - 1, (len(counts), t), generator=random)
    return Text(ids, torch.arange(t) < torch.tensor(counts)[:, None])


def disturb(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter random and wide enough to be seen in the output, biases and norms included."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.randn(parameter.shape, generator=random, dtype=torch.float64) * 0.2
            is_gain = name.lower().endswith(("norm.weight", "norm1.weight", "norm2.weight"))
            parameter.copy_(drawn + 1 if is_gain else drawn)
    return module


def largest(a: Tensor, b: Tensor) -> float:
    """max |a - b|; shapes must be equal."""
    assert a.shape == b.shape
    return float((a - b).abs().max())
