"""Whatever is asked that the description allows, or does not, is answered as the description says."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from isthmus.http.gate import Here
from isthmus.server.app import make_app
from isthmus.server.engine import Engine
from isthmus.server.settings import Settings
from tests.backends.scripted import Careless

from .embedder import embeddings
from .serving import NAME

NOT_HELD = [
    positive_data_acceptance,  # a conversation may end with an assistant's message, and is refused then
    ignored_auth,  # tests/server/test_guard.py asks that
]
PORT = 8643
ASKED = [
    "POST /v1/chat/completions", "POST /v1/embeddings", "GET /v1/models", "GET /v1/models/{model}", "GET /health",
    "GET /metrics", "POST /api/session",
]  # fmt: skip
WITHOUT_PARAMETERS = {"GET /v1/models", "GET /health", "GET /metrics"}


@pytest.fixture(scope="module")
def described() -> Iterator[schemathesis.BaseSchema]:
    # A description allows answers of two billion tokens.
    short = Careless(ask=lambda messages, options: (messages, replace(options, max_tokens=min(options.max_tokens, 5))))
    engine = Engine(Settings(), (NAME,), short, embeddings())
    app = make_app(engine, None, Here(PORT))
    yield schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": f"127.0.0.1:{PORT}"})
    engine.close()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("asked", ASKED)
def test_every_answer_is_as_described(described: schemathesis.BaseSchema, asked: str, mode: GenerationMode) -> None:
    operations = {operation.ok().label: operation.ok() for operation in described.get_all_operations()}
    assert set(operations) == set(ASKED)
    if mode == GenerationMode.NEGATIVE and asked in WITHOUT_PARAMETERS:
        return  # it takes nothing that could be wrong

    @given(case=operations[asked].as_strategy(generation_mode=mode))
    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case) -> None:
        case.headers["Host"] = f"127.0.0.1:{PORT}"
        answer = case.call_and_validate(excluded_checks=NOT_HELD)
        assert answer.status_code != 500
        assert answer.status_code != 422

    ask()


def test_a_conversation_by_the_description_is_answered(described: schemathesis.BaseSchema) -> None:
    (operation,) = (each.ok() for each in described.get_all_operations() if each.ok().label == ASKED[0])
    body = {"model": NAME, "messages": [{"role": "user", "content": "x"}], "isthmus": {"receipt": True}}
    case = operation.Case(body=body, media_type="application/json")
    case.headers["Host"] = f"127.0.0.1:{PORT}"
    assert case.call_and_validate(excluded_checks=NOT_HELD).status_code == 200
