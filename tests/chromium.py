"""Debian's chromium, for tests of pages."""

import os
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


def needs_chromium() -> None:
    """Skips where it is not installed, except in CI, which must have it."""
    if not CHROMIUM.exists():
        why = "needs Debian's chromium"
        pytest.fail(why) if os.environ.get("ISTHMUS_CI") else pytest.skip(why)
