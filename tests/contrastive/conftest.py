"""The one pretrained part these tests use: all-MiniLM-L6-v2, which is inside a package."""

import pytest

from isthmus.checkpoints import Checkpoint, resolve


@pytest.fixture(scope="session")
def minilm() -> Checkpoint:
    return resolve("default/minilm")
