"""Packages that users may lack and CI may not."""

import importlib
import os
from typing import Any

import pytest

from isthmus.checkpoints.parts import part
from isthmus.errors import MissingPart


def required(name: str, extra: str = "evaluate") -> Any:
    """The package. Skips where it is not installed, except in CI."""
    try:
        return importlib.import_module(name)
    except ImportError:
        why = f"needs {name}: pip install 'isthmus[{extra}]'"
        pytest.fail(why) if os.environ.get("ISTHMUS_CI") else pytest.skip(why)


def default_part(name: str) -> None:
    """Skips where that default part is not installed, except in CI."""
    try:
        part(name).verify()
    except MissingPart as error:
        pytest.fail(str(error)) if os.environ.get("ISTHMUS_CI") else pytest.skip(str(error))
