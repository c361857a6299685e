"""Who may ask: only the page that this process served to the person who started it. Each request must get through the
gate that all servers here have, and must carry the secret of this start.
"""

import json
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.http.gate import HEADERS, Here, is_small, stranger, with_headers
from isthmus.http.secret import Secret
from isthmus.photos.serve.answers import Problem, ProblemAnswer

OPEN = frozenset({"/", "/openapi.json", "/api/session"})
"""What says nothing of the library, beside the page's own files."""

PAGE = "/page/"

LARGEST_BODY = 4096
"""Bytes of a request, but for those to PICTURE."""

PICTURE = "/api/like"
LARGEST_PICTURE = 64 << 20
"""Bytes of what is sent there."""


class Guard:
    """ASGI: refuses what may not ask, and puts the security headers on every answer.

    `port` is that of the socket. `exposed`: bound to more than loopback (see `Here`).
    """

    def __init__(self, app: ASGIApp, secret: Secret, port: int, *, exposed: bool = False) -> None:
        self.app, self.secret, self.here = app, secret, Here(port, exposed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket is not answered, which closes it
        send = with_headers(send, HEADERS)
        refusal = self._refuse(scope)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        # FastAPI has answered and logged a mistake before it raises it.
        with suppress(Exception):
            await self.app(scope, receive, send)

    def _refuse(self, scope: Scope) -> tuple[int, Problem] | None:
        headers, path = Headers(scope=scope), scope["path"]
        match stranger(scope, self.here):
            case "wrong_host":
                return 403, Problem(code="wrong_host", what="this server has another address",
                                    todo="open the address that isthmus printed")  # fmt: skip
            case "wrong_origin":
                return 403, Problem(code="wrong_origin", what="another page may not ask")
        if "transfer-encoding" in headers or not is_small(
            headers.get("content-length", "0"), LARGEST_PICTURE if path == PICTURE else LARGEST_BODY
        ):
            return 413, Problem(code="too_large", what="the request is too large")
        is_page = path in OPEN or path.startswith(PAGE)
        if not is_page and not self.secret.is_carried(headers, self.here.port):
            return 401, Problem(
                code="no_session",
                what="this page was not opened by you",
                todo="open the address that isthmus printed when it was started",
            )
        return None


async def _answer(send: Send, status: int, problem: Problem) -> None:
    body = json.dumps(ProblemAnswer(error=problem).model_dump()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
