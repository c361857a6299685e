"""Who may ask: only the page that this process served to the person who started it.

A server on a loopback address is reached by every program of the machine, and through the browser by every page on the
web that is open in it. So each request must name this server as its `Host` (a page whose name was pointed here later
does not), must not come from another `Origin`, and must carry the secret of this start.
"""

import hmac
import ipaddress
import json
import secrets
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from threading import Lock

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.photos.serve.answers import Problem, ProblemAnswer

OPEN = frozenset({"/", "/openapi.json", "/api/session"})
"""What says nothing of the library, beside the page's own files."""

PAGE = "/page/"

LARGEST_BODY = 4096
"""Bytes of a request, but for those to PICTURE."""

PICTURE = "/api/like"
LARGEST_PICTURE = 64 << 20
"""Bytes of what is sent there."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Secret:
    """What one start of the server is opened with.

    `token` is printed, and holds until the server stops. What `once` gives holds for one exchange: it goes into the
    command line of the browser, which other users of the machine can read.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._single: set[str] = set()
        self._turn = Lock()

    def once(self) -> str:
        made = secrets.token_urlsafe(32)
        with self._turn:
            self._single.add(made)
        return made

    def is_token(self, given: str) -> bool:
        return _equal(given, self.token)

    def admits(self, given: str) -> bool:
        """Whether a session may be begun with it."""
        with self._turn:
            for made in self._single:
                if _equal(given, made):
                    self._single.discard(made)
                    return True
        return self.is_token(given)


def cookie_of(port: int) -> str:
    """Its name: cookies of all ports of a host are in one pot."""
    return f"isthmus-{port}"


class Guard:
    """ASGI: refuses what may not ask, and puts the security headers on every answer.

    `port` is that of the socket. `exposed`: bound to more than loopback, so that any address of the machine, but no
    name that another could own, is a `Host`.
    """

    def __init__(self, app: ASGIApp, secret: Secret, port: int, *, exposed: bool = False) -> None:
        self.app, self.secret, self.port, self.exposed = app, secret, port, exposed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket is not answered, which closes it

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = self._refuse(scope)
        if refusal is not None:
            await _answer(with_headers, *refusal)
            return
        # FastAPI has answered and logged a mistake before it raises it.
        with suppress(Exception):
            await self.app(scope, receive, with_headers)

    def _refuse(self, scope: Scope) -> tuple[int, Problem] | None:
        headers = Headers(scope=scope)
        if not self._is_here(headers.getlist("host")):
            return 403, Problem(code="wrong_host", what="this server has another address",
                                todo="open the address that isthmus printed")  # fmt: skip
        origins, site = headers.getlist("origin"), headers.get("sec-fetch-site", "none")
        if any(not self._is_origin(origin) for origin in origins):
            return 403, Problem(code="wrong_origin", what="another page may not ask")
        path = scope["path"]
        is_page = path in OPEN or path.startswith(PAGE)
        # A link on another page may lead to ours, which shows nothing then: its cookie is not sent from there.
        if site not in ("none", "same-origin") and not (path == "/" and scope["method"] == "GET"):
            return 403, Problem(code="wrong_origin", what="another page may not ask")
        if "transfer-encoding" in headers or not _is_small(
            headers.get("content-length", "0"), LARGEST_PICTURE if path == PICTURE else LARGEST_BODY
        ):
            return 413, Problem(code="too_large", what="the request is too large")
        if not is_page and not self._is_known(headers):
            return 401, Problem(
                code="no_session",
                what="this page was not opened by you",
                todo="open the address that isthmus printed when it was started",
            )
        return None

    def _is_here(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        name, _, port = hosts[0].rpartition(":")
        if port != str(self.port):
            return False
        # A name can be made to lead here by whoever owns it; an address cannot, nor can `localhost`.
        address = _address(name)
        return name == "localhost" if address is None else address.is_loopback or self.exposed

    def _is_origin(self, origin: str) -> bool:
        return origin.startswith("http://") and self._is_here([origin.removeprefix("http://")])

    def _is_known(self, headers: Headers) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.secret.is_token(token.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_of(self.port))
        except CookieError:
            return False
        return cookie is not None and self.secret.is_token(cookie.value)


def _equal(given: str, secret: str) -> bool:
    """In a time that tells nothing. What is given may be any text, half a surrogate too."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def _is_small(length: str, most: int) -> bool:
    return length.isascii() and length.isdigit() and int(length[:10]) <= most


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


async def _answer(send: Send, status: int, problem: Problem) -> None:
    body = json.dumps(ProblemAnswer(error=problem).model_dump()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
