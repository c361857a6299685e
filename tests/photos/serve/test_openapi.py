"""Whatever is asked that the description allows, or does not, is answered as the description says."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from isthmus.http.secret import Secret
from isthmus.photos.serve.app import make_api
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.thumbnails import Thumbnails
from isthmus.photos.store import Library

from ..fakes import ColourEmbedder
from .conftest import PORT

NOT_HELD = [
    positive_data_acceptance,  # chip 7 of a sentence of two cannot be taken off, though 7 is a number
]

ASKED = [
    "GET /api/search", "GET /api/timeline", "GET /api/map", "GET /api/status", "GET /api/photos",
    "GET /api/photos/{photo}",
    "GET /api/photos/{photo}/thumbnail", "GET /api/photos/{photo}/original", "GET /api/photos/{photo}/similar",
    "GET /api/originals.zip", "GET /api/list", "POST /api/session",
    "POST /api/like", "GET /api/names", "POST /api/names", "POST /api/names/rename", "POST /api/names/forget",
]  # fmt: skip


@pytest.fixture(scope="module")
def described(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    folder = tmp_path_factory.mktemp("fuzzed")  # names are given in it
    shutil.copytree(made / "lib", folder / "lib")
    with Library.read(folder / "lib") as library:
        engine = Engine(library, ColourEmbedder, Thumbnails(folder / "thumbnails"))
        engine._get_ready()
        yield schemathesis.openapi.from_asgi("/openapi.json", make_api(engine, Secret(), PORT))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("asked", ASKED)
def test_every_answer_is_as_described(described: schemathesis.BaseSchema, asked: str, mode: GenerationMode) -> None:
    operations = {operation.ok().label: operation.ok() for operation in described.get_all_operations()}
    assert set(operations) == set(ASKED)
    operation = operations[asked]
    if mode == GenerationMode.NEGATIVE and asked in ("GET /api/status", "GET /api/names"):
        return  # it takes nothing that could be wrong

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=NOT_HELD)

    ask()
