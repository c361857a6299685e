"""What several folders of tests share."""

import os
from pathlib import Path

import pytest

from isthmus.training.data.sources import STAMPS


@pytest.fixture(scope="session")
def stamps_root() -> Path:
    """Where Debian's stamps are. Skips where they are not installed, except in CI, which must have them."""
    if not STAMPS.is_dir():
        why = "needs Debian's tuxpaint-stamps-default"
        pytest.fail(why) if os.environ.get("ISTHMUS_CI") else pytest.skip(why)
    return STAMPS
