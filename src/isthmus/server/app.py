"""The routes: the API, the page, and what is told of the server itself. OpenAPI at /openapi.json."""

import asyncio
import logging
import time
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from isthmus import __version__
from isthmus.errors import InputError
from isthmus.http.gate import Here
from isthmus.http.page_files import page_file
from isthmus.http.secret import Secret, cookie_of
from isthmus.server.answers import (
    Completion,
    Embedding,
    EmbeddingsAnswer,
    Health,
    ModelAnswer,
    ModelsAnswer,
    ProblemAnswer,
)
from isthmus.server.asked import ChatAsked, EmbeddingsAsked, SessionAsked
from isthmus.server.describe import STREAM, body_of, describe
from isthmus.server.embedding import read_inputs
from isthmus.server.engine import DEFAULT, Engine, no_model
from isthmus.server.guard import Guard, too_large
from isthmus.server.leaving import Gone
from isthmus.server.problems import CODES, Refused, mistake, of_input
from isthmus.server.question import read_body, read_question
from isthmus.server.settings import Limits
from isthmus.server.telling import Telling
from isthmus.stopwatch import Watch

ARRIVE = 120
"""Seconds that a body may take to arrive."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemAnswer, "description": why}
    for code, why in {
        400: "Something in the request is wrong or cannot be honoured; `param` names it.",
        401: "Without the token.",
        403: "From another page, or by another name of this server.",
        413: "The body is too large.",
        500: "A mistake of ours; the log has it at the id in X-Request-ID.",
    }.items()
}
ASKING: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemAnswer, "description": why}
    for code, why in {
        404: "There is no such model.",
        408: "The body did not arrive in time.",
        415: "The body is not said to be JSON.",
        429: "The queue is full.",
        503: "The model is being loaded, or the server stops.",
    }.items()
}

_log = logging.getLogger(__name__)


def make_app(engine: Engine, secret: Secret | None, here: Here) -> Guard:
    """What is served: the API and the page, and before all of it the guard. `secret` None: no token is asked for."""
    return Guard(make_api(engine, secret, here.port), engine, secret, here)


def make_api(engine: Engine, secret: Secret | None, port: int) -> FastAPI:
    app = FastAPI(
        title="Isthmus",
        version=__version__,
        description="The OpenAI API over one model. Ask with `Authorization: Bearer TOKEN`, the token being the one "
        "that `isthmus serve` prints.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        responses=PROBLEMS,
    )
    limits = engine.settings.limits
    _answer_problems(app, engine)

    @app.post(
        "/v1/chat/completions",
        tags=["api"],
        response_model=Completion,
        responses=ASKING | STREAM,
        openapi_extra=body_of(ChatAsked),
    )
    async def chat(request: Request) -> Response:
        """An answer to a conversation."""
        engine.check_open()
        body, arrived = await _body(request, limits)
        watch = Watch()
        question = await engine.read(body, watch, partial(read_question, limits=limits))
        return Telling(engine, question, watch, arrived)

    @app.post("/v1/embeddings", tags=["api"], responses=ASKING, openapi_extra=body_of(EmbeddingsAsked))
    async def embeddings(request: Request) -> EmbeddingsAnswer:
        """Vectors of texts and pictures, in one space."""
        body, _ = await _body(request, limits)
        inputs = await engine.read(body, Watch(), partial(read_inputs, limits=limits))
        vectors = await engine.embed(inputs, request.receive)
        assert engine.embeddings is not None
        data = [Embedding(index=at, embedding=vector) for at, vector in enumerate(vectors)]
        return EmbeddingsAnswer(model=engine.embeddings.names[0], data=data)

    @app.get("/v1/models", tags=["api"])
    async def models() -> ModelsAnswer:
        """The model, and the embedder where there is one."""
        names = [engine.names[0]] + ([engine.embeddings.names[0]] if engine.embeddings else [])
        return ModelsAnswer(data=[ModelAnswer(id=name, created=engine.started) for name in names])

    @app.get("/v1/models/{model:path}", tags=["api"], responses={404: ASKING[404]})
    async def model(model: str) -> ModelAnswer:
        """One of them, by any of its names."""
        known = (*engine.names, DEFAULT, *(engine.embeddings.names if engine.embeddings else ()))
        if model not in known:
            raise no_model(model)
        return ModelAnswer(id=model, created=engine.started)

    @app.get(
        "/health",
        tags=["server"],
        response_model=Health,
        responses={503: {"model": Health, "description": "Loading, or stopping."}},
    )
    async def health() -> Response:
        """Whether it answers, and how many wait; no token is needed."""
        found = engine.health()
        return JSONResponse(found.model_dump(), 503 if found.status in ("loading", "stopping") else 200)

    @app.get("/metrics", tags=["server"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(engine.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.post("/api/session", status_code=204, tags=["page"], openapi_extra=body_of(SessionAsked))
    async def begin_session(request: Request) -> Response:
        """Exchange the token for a cookie."""
        body, _ = await _body(request, limits)
        asked = read_body(SessionAsked, body, limits)
        answer = Response(status_code=204)
        if secret is not None:
            if not secret.admits(asked.token):
                why = "this address is of another start of the server, or was opened before"
                raise Refused(401, why, code="invalid_api_key")
            answer.set_cookie(cookie_of(port), secret.token, httponly=True, samesite="strict", path="/")
        return answer

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return _page_file(request, "index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def file_of_page(request: Request, name: str) -> Response:
        return _page_file(request, name)

    describe(app)
    return app


async def _body(request: Request, limits: Limits) -> tuple[bytes, float]:
    """The body, and when its last byte came, on `time.perf_counter`'s clock. Raises Refused, Gone."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "send JSON, with Content-Type: application/json", code="unsupported_media_type")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(ARRIVE):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > limits.body:
                    raise too_large(limits.body)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {ARRIVE} seconds", code="body_too_slow") from None
    except ClientDisconnect:
        raise Gone from None
    return b"".join(parts), time.perf_counter()


def _page_file(request: Request, name: str) -> Response:
    found = page_file("isthmus.server", name, request)
    if found is None:
        raise HTTPException(404, "there is no such page")
    return found


def _answer_problems(app: FastAPI, engine: Engine) -> None:
    """Every one in the one shape."""

    def told(refused: Refused) -> Response:
        engine.metrics.rejected.labels(refused.code).inc()
        return refused.response()

    @app.exception_handler(Refused)
    async def refuse(_: Request, error: Refused) -> Response:
        return told(error)

    @app.exception_handler(HTTPException)
    async def misrouted(_: Request, error: HTTPException) -> Response:
        answer = told(Refused(error.status_code, str(error.detail), code=CODES.get(error.status_code, "refused")))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(_: Request, error: RequestValidationError) -> Response:
        return told(Refused(400, error.errors()[0]["msg"], code="invalid_value"))

    @app.exception_handler(InputError)
    async def bad_input(_: Request, error: InputError) -> Response:
        return told(of_input(error))

    @app.exception_handler(Gone)
    async def gone(_: Request, __: Gone) -> Response:
        engine.metrics.cancelled.labels("waiting").inc()
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        request_id = request.scope["isthmus.request"]
        _log.error("request %s failed", request_id, exc_info=error)
        return told(mistake(request_id))
