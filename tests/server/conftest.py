"""A server over a scripted model, and one over a model that waits for permits."""

from collections.abc import Iterator

import pytest

from isthmus.server.settings import Limits, Settings
from tests.backends.scripted import Scripted

from .embedder import embeddings
from .serving import Held, Served, served

SMALL = Settings(limits=Limits(body=1 << 20, pictures=3, pixels=10_000, text=2000, max_tokens=50))


@pytest.fixture(scope="module")
def scripted() -> Iterator[Served]:
    with served(Scripted(), SMALL, embeddings()) as found:
        yield found


@pytest.fixture
def held() -> Iterator[tuple[Served, Held]]:
    """Two slots, two places to wait."""
    backend = Held()
    with served(backend, Settings(slots=2, queue=2)) as found:
        yield found, backend
        backend.permit(100_000)
