import os
from pathlib import Path

import pytest
from benchmarks.photo_library.make import make
from benchmarks.photo_library.plan import check_parts
from benchmarks.photo_library.truth import Library, read

from isthmus.errors import MissingPart

PHOTOS, SEED = 60, 3
"""Files of every kind, dated and placed in every way."""


@pytest.fixture(scope="session")
def parts() -> None:
    """What the pictures are made from."""
    try:
        check_parts()
    except MissingPart as error:
        pytest.fail(str(error)) if os.environ.get("ISTHMUS_CI") else pytest.skip(str(error))


@pytest.fixture(scope="session")
def made(parts: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """A small library. Not to be changed."""
    folder = tmp_path_factory.mktemp("photo_library") / "made"
    make(folder, PHOTOS, SEED, quiet=True)
    return folder


@pytest.fixture(scope="session")
def library(made: Path) -> Library:
    return read(made)
