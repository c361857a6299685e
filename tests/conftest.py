"""What several folders of tests share."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from isthmus.training.data.sources import STAMPS

# A run that decides whether a change lands must not depend on luck; a developer's runs look at new examples each time.
# Neither on how busy the machine is: no deadline.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("ISTHMUS_CI") else "here")

# Shells without job control start what they put into the background with Ctrl-C ignored, and children inherit it: tests
# of Ctrl-C would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def stamps_root() -> Path:
    """Where Debian's stamps are. Skips where they are not installed, except in CI, which must have them."""
    if not STAMPS.is_dir():
        why = "needs Debian's tuxpaint-stamps-default"
        pytest.fail(why) if os.environ.get("ISTHMUS_CI") else pytest.skip(why)
    return STAMPS


@pytest.fixture
def users_folder() -> Iterator[Path]:
    """An empty folder of an ordinary user, who the test runs as: root, as CI is, may read everything."""
    folder = Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    if is_root:
        nobody = 65534
        os.chown(folder, nobody, nobody)
        os.seteuid(nobody)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        shutil.rmtree(folder)
