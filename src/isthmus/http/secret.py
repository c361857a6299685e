"""What one start of a server is opened with."""

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from threading import Lock

from starlette.datastructures import Headers


class Secret:
    """`token` is printed, and holds until the server stops. What `once` gives holds for one exchange: it goes into the
    command line of the browser, which other users of the machine can read.
    """

    def __init__(self, token: str | None = None) -> None:
        """A `token` of the user's own, or one that is drawn."""
        self.token = token or secrets.token_urlsafe(32)
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

    def is_carried(self, headers: Headers, port: int) -> bool:
        """Whether a request has it: as a bearer, or in the cookie of its session."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.is_token(token.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_of(port))
        except CookieError:
            return False
        return cookie is not None and self.is_token(cookie.value)


def cookie_of(port: int) -> str:
    """Its name: cookies of all ports of a host are in one pot."""
    return f"isthmus-{port}"


def _equal(given: str, secret: str) -> bool:
    """In a time that tells nothing. What is given may be any text, half a surrogate too."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())
