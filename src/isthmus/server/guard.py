"""Who may ask, and how much at once: the gate that all servers here have, then the token, then the body's length."""

import secrets
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.http.gate import OWN_PICTURES, Here, is_small, stranger, with_headers
from isthmus.http.secret import Secret
from isthmus.server.engine import Engine
from isthmus.server.problems import Refused

OPEN = frozenset({"/", "/health", "/openapi.json", "/api/session"})
"""What says nothing of what is asked and answered, beside the page's own files."""

PAGE, API = "/page/", "/v1/"
ROUTES = OPEN | {"/metrics", "/v1/chat/completions", "/v1/embeddings", "/v1/models"}

LARGEST_BODY = 4096
"""Bytes of a request that is not to the API."""


class Guard:
    """ASGI: refuses what may not ask, gives each request an id, and counts what became of it.

    `secret` None: whoever reaches the server may ask.
    """

    def __init__(self, app: ASGIApp, engine: Engine, secret: Secret | None, here: Here) -> None:
        self.app, self.engine, self.secret, self.here = app, engine, secret, here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket is not answered, which closes it
        request_id = scope["isthmus.request"] = f"req_{secrets.token_hex(8)}"
        send = with_headers(self._counted(scope, send), {**OWN_PICTURES, "X-Request-ID": request_id})
        refused = self._refuse(scope)
        if refused is not None:
            self.engine.metrics.rejected.labels(refused.code).inc()
            await refused.response()(scope, receive, send)
            return
        # FastAPI has answered and logged a mistake before it raises it.
        with suppress(Exception):
            await self.app(scope, receive, send)

    def _refuse(self, scope: Scope) -> Refused | None:
        headers, path = Headers(scope=scope), scope["path"]
        match stranger(scope, self.here):
            case "wrong_host":
                return Refused(403, "this server has another address (see --allow-host)", code="wrong_host")
            case "wrong_origin":
                return Refused(403, "another page may not ask", code="wrong_origin")
        if not self._is_open(path) and not self._is_known(headers):
            why = "the token is missing or wrong: send it as Authorization: Bearer TOKEN"
            return Refused(401, why, code="invalid_api_key")
        most = self.engine.settings.limits.body if path.startswith(API) else LARGEST_BODY
        if not is_small(headers.get("content-length", "0"), most):
            return too_large(most)
        if "transfer-encoding" in headers and not path.startswith(API):
            return too_large(most)
        return None

    def _is_open(self, path: str) -> bool:
        return path in OPEN or path.startswith(PAGE) or (path == "/metrics" and self.engine.settings.open_metrics)

    def _is_known(self, headers: Headers) -> bool:
        return self.secret is None or self.secret.is_carried(headers, self.here.port)

    def _counted(self, scope: Scope, send: Send) -> Send:
        path = scope["path"]
        route = path if path in ROUTES else "/v1/models" if path.startswith("/v1/models/") else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.engine.metrics.requests.labels(route, str(message["status"])).inc()
            await send(message)

        return counted


def too_large(most: int) -> Refused:
    return Refused(413, f"the request's body is larger than {most} bytes", code="body_too_large")
