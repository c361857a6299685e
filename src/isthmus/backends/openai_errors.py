"""What goes wrong with a server, in one line: which server, what, and what to do."""

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from textwrap import shorten

from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from isthmus.backends.endpoint import FORM, Endpoint
from isthmus.errors import InputError, IsthmusError

TRANSIENT = (408, 409, 429)
"""Of the statuses below 500, those that another try may mend."""
LISTED = 8
"""Models named in an error at most."""


def is_transient(error: APIError) -> bool:
    """Whether another try may mend it."""
    if isinstance(error, APIStatusError):
        return error.status_code in TRANSIENT or error.status_code >= 500
    return isinstance(error, APIConnectionError)


def retry_after(error: APIError) -> float | None:
    """Seconds the server asks to be left alone for; None where it does not say. Source: RFC 9110, section 10.2.3."""
    value = error.response.headers.get("retry-after") if isinstance(error, APIStatusError) else None
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass  # then it is a date
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def asks_for_other_length(error: APIError) -> bool:
    """Whether the server refuses `max_tokens` and says that it wants `max_completion_tokens`."""
    return isinstance(error, APIStatusError) and error.status_code < 500 and "max_completion_tokens" in said(error.body)


def failure(
    error: APIError, server: Endpoint, model: str, models: tuple[str, ...] | None, *, began: bool
) -> IsthmusError:
    """The error in our words. `models`: those the server has, None where it did not say. `began`: whether some of the
    answer had come."""
    if isinstance(error, APIStatusError):
        return _refused(error, server, model, models)
    if isinstance(error, APITimeoutError):
        return IsthmusError(f"{server.url} cannot be reached", why="no connection in time", todo="is it running?")
    if isinstance(error, APIConnectionError) and began:
        return IsthmusError(f"{server.url} broke off", why=_words(_innermost(error)), todo="ask again")
    if isinstance(error, APIConnectionError):
        return _unreachable(error, server)
    why = server.without_key(said(error.body) or error.message)  # within the stream
    return IsthmusError(f"{server.url} failed while answering", why=shorten(why, 300), todo="ask again")


def said(body: object) -> str:
    """The server's own words, from any of the shapes in which servers put them."""
    if isinstance(body, Mapping):
        for key in ("error", "message", "detail", "msg"):
            if key in body:
                return said(body[key])
        return str(dict(body)) if body else ""
    text = "" if body is None else str(body).strip()
    return "" if text.startswith("<") else text  # a page for people


def _refused(error: APIStatusError, server: Endpoint, model: str, models: tuple[str, ...] | None) -> IsthmusError:
    status, url = error.status_code, server.url
    why = shorten(server.without_key(said(error.body)), 400) or f"it answers {status}"
    if 300 <= status < 400:
        there = server.without_key(error.response.headers.get("location", "an unknown place"))
        return InputError(f"{url} sends us on to {there}", todo="name the address where the server is")
    if status in (401, 403):
        if server.key is not None:
            return IsthmusError(f"{url} refuses the key", why=why, todo="is ISTHMUS_API_KEY for this server?")
        return IsthmusError(f"{url} wants a key", why=why, todo="set ISTHMUS_API_KEY")
    if status == 404 and models is not None and model not in models:
        have = ", ".join(models[:LISTED]) + (", ..." if len(models) > LISTED else "")
        return InputError(f"{url} has no model {model}", why=why, todo=f"it has: {have or 'none'}")
    if status in (404, 405):
        return InputError(f"{url} has no model {model}, or is not the path", why=why, todo=f"write {FORM}")
    if status == 429:
        wait = retry_after(error)
        todo = "ask later" if wait is None else f"ask again in {wait:.0f} s"
        return IsthmusError(f"{url} takes no more questions now", why=why, todo=todo)
    if status in TRANSIENT or status >= 500:
        return IsthmusError(f"{url} failed ({status})", why=why, todo="look at its log, or ask again")
    return InputError(f"{url} refuses the question", why=why)


def _unreachable(error: APIConnectionError, server: Endpoint) -> IsthmusError:
    inner = _innermost(error)
    todo = "is it running, and is the address right?"
    if isinstance(inner, ssl.SSLError):
        todo = "is it https that it speaks, with a certificate this machine trusts?"
    return IsthmusError(f"{server.url} cannot be reached", why=_words(inner), todo=todo)


def _innermost(error: BaseException) -> BaseException:
    """The reason that says something."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    while isinstance(error, BaseExceptionGroup):  # an address that stands for several was tried at each
        error = error.exceptions[0]
    return error


def _words(error: BaseException) -> str:
    # asyncio's own words for a refusal name the address again, and not the refusal
    plain = os.strerror(error.errno) if isinstance(error, ConnectionError) and error.errno else None
    return shorten(plain or str(error), 300)
