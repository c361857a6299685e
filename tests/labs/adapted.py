"""A domain and a model, both tiny: pictures of the kinds in black and white bars, in the files Debian has them in."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from isthmus.labs import adapting
from isthmus.labs import clothes as domain
from isthmus.training.feature_cache import FeatureCache
from tests.vlm import models

OF_EACH = 3


def tiny_clothes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = np.arange(10 * OF_EACH, dtype=np.uint8) % 10
    pictures = np.zeros((len(kinds), 28, 28), dtype=np.uint8)
    for at, kind in enumerate(kinds):
        pictures[at, :, : 2 * int(kind) + 4] = 200 + at
    for part in domain.FILES.values():
        for name, head, values in (("images-idx3", 16, pictures), ("labels-idx1", 8, kinds)):
            with gzip.open(folder / f"{part}-{name}-ubyte.gz", "wb") as file:
                file.write(bytes(head) + values.tobytes())
    monkeypatch.setattr(domain, "HERE", folder)


def tiny_start(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """In place of the default model; features are kept in `cache`."""
    monkeypatch.setattr(adapting, "load_vlm", lambda _: models.model().requires_grad_(False).eval())
    opened = FeatureCache.open
    monkeypatch.setattr(FeatureCache, "open", lambda _, encoder: opened(cache, encoder))
