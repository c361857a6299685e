"""accelerate keeps one precision for a whole process; tests of one process train in several."""

from collections.abc import Iterator

import pytest
from accelerate.state import AcceleratorState


@pytest.fixture(autouse=True)
def any_precision() -> Iterator[None]:
    yield
    AcceleratorState._reset_state()
