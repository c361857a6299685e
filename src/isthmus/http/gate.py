"""What keeps other pages and other names out, and a page in its place.

A server on a loopback address is reached by every program of the machine, and through the browser by every page on the
web that is open in it. So each request must name this server as its `Host` (a page whose name was pointed here later
does not) and must not come from another `Origin`.
"""

import ipaddress
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{}; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY.format(""),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer."""

OWN_PICTURES = {**HEADERS, "Content-Security-Policy": POLICY.format(" blob:")}
"""The same for a page that shows pictures which its user chose and which are not sent back to it."""


@dataclass(frozen=True)
class Here:
    """By what this server may be called.

    `port` is that of the socket. `exposed`: bound to more than loopback, so that any address of the machine, but no
    name that another could own, is a `Host`. `names`: those its user says are theirs, with a port or without, in lower
    case.
    """

    port: int
    exposed: bool = False
    names: frozenset[str] = frozenset()

    def is_host(self, hosts: list[str]) -> bool:
        """Whether these, all the `Host` headers of a request, name this server."""
        if len(hosts) != 1:
            return False
        given = hosts[0].lower()
        name, _, port = given.rpartition(":")
        if {given, name} & self.names:
            return True
        if port != str(self.port):
            return False
        # A name can be made to lead here by whoever owns it; an address cannot, nor can `localhost`.
        address = _address(name)
        return name == "localhost" if address is None else address.is_loopback or self.exposed

    def is_origin(self, origin: str) -> bool:
        scheme, _, host = origin.partition("://")
        if scheme == "https":  # something of the user's own that speaks for this server
            return host.lower() in self.names
        return scheme == "http" and self.is_host([host])


def stranger(scope: Scope, here: Here) -> Literal["wrong_host", "wrong_origin"] | None:
    """Why this request may not be answered at all, if so."""
    headers = Headers(scope=scope)
    if not here.is_host(headers.getlist("host")):
        return "wrong_host"
    if any(not here.is_origin(origin) for origin in headers.getlist("origin")):
        return "wrong_origin"
    # A link on another page may lead to ours, which shows nothing then: its cookie is not sent from there.
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and not (scope["path"] == "/" and scope["method"] == "GET"):
        return "wrong_origin"
    return None


def with_headers(send: Send, headers: dict[str, str]) -> Send:
    """`send` that puts them on the answer, and forbids caches to keep it where it does not say itself."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = MutableHeaders(scope=message)
            for name, value in headers.items():
                own.setdefault(name, value)
            own.setdefault("Cache-Control", "no-store")
        await send(message)

    return wrapped


def is_small(length: str, most: int) -> bool:
    """Whether a `Content-Length` is a number of at most `most`."""
    return length.isascii() and length.isdigit() and int(length[:12]) <= most


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
