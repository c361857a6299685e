from pathlib import Path

import pytest

from .fakes import ColourEmbedder, paint


@pytest.fixture
def embedder() -> ColourEmbedder:
    return ColourEmbedder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five photos in three folders."""
    root = tmp_path / "photos"
    for seed, (name, colour) in enumerate(
        [("a/red.png", "red"), ("a/blue.jpg", "blue"), ("b/deep/green.png", "green"), ("b/yellow.webp", "yellow"),
         ("white.png", "white")]
    ):  # fmt: skip
        paint(root / name, colour, seed=seed)
    return root
