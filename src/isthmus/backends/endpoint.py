"""Where an OpenAI-compatible server is, and which key may be sent there."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from isthmus.errors import InputError

OPENAI = "https://api.openai.com/v1"
FORM = "openai:MODEL@http://host:port/v1"
"""How a model at a server is named."""


@dataclass(frozen=True)
class Endpoint:
    """The address that `/chat/completions` is put behind, without a slash at its end. Never shows its key."""

    url: str
    key: SecretStr | None = None
    loopback: bool = False
    """Whether it is this machine: then no proxy is asked."""
    home: bool = False
    """Whether it is where the variables OPENAI_... are meant for."""

    def without_key(self, text: str) -> str:
        """`text` of the server's, which may have repeated the key."""
        return text if self.key is None else text.replace(self.key.get_secret_value(), "[the key]")


def split_name(name: str) -> tuple[str, str | None]:
    """`MODEL@http://host:port/v1` -> the model and the address, None where there is none. Raises InputError."""
    found = re.fullmatch(r"(?P<model>.+?)(?:@(?P<url>https?://.*))?", name)
    if found is None or name.startswith(("http://", "https://", "@http://", "@https://")):
        raise InputError(f"openai:{name} names no model", todo=f"write {FORM}")
    model, url = found["model"], found["url"]
    if url is None and "@" in model[1:]:  # a model's name may begin with it
        raise InputError(f"the address in openai:{name} has no http:// or https://", todo=f"write {FORM}")
    return model, url


def endpoint(url: str | None, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The server at `url`; None: where OPENAI_BASE_URL points, which is OpenAI's own unless it is set.

    ISTHMUS_API_KEY, where it is set, is the key for any server; an empty one says to send none. Otherwise
    OPENAI_API_KEY goes to the server of OPENAI_BASE_URL and nowhere else: it was not made for others. Raises InputError
    for an address that cannot be used, and where a key would cross a network in the open.
    """
    theirs = environment.get("OPENAI_BASE_URL") or OPENAI
    address = (url or theirs).rstrip("/")
    split = _split(address)
    home = _origin(split) == _origin(_split(theirs))
    loopback = _is_loopback(split.hostname or "")
    variable = "ISTHMUS_API_KEY" if "ISTHMUS_API_KEY" in environment else "OPENAI_API_KEY" if home else None
    key = environment.get(variable, "").strip() if variable else ""
    if not key:
        return Endpoint(address, None, loopback, home)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise InputError(f"{variable} holds characters that no key has", todo="set it again")
    if split.scheme == "http" and not loopback:
        raise InputError(
            f"{variable} would be sent to {address} for all to read",
            why="the address begins with http:// and is not this machine",
            todo="use https://, or set ISTHMUS_API_KEY to nothing to send no key",
        )
    return Endpoint(address, SecretStr(key), loopback, home)


def _split(url: str) -> SplitResult:
    todo = f"write {FORM}"
    try:
        split = urlsplit(url)
        _ = split.port  # raises for one that is no number
    except ValueError as error:
        raise InputError("the address of the server cannot be read", why=str(error), todo=todo) from None
    if "@" in split.netloc:  # not shown: it may be a password
        raise InputError("the address of the server holds a name or a password", todo="set ISTHMUS_API_KEY instead")
    if split.scheme not in ("http", "https") or not split.hostname:
        raise InputError(f"{url!r} is no address of a server", todo=todo)
    if split.query or split.fragment or any(c.isspace() or not c.isprintable() for c in url):
        raise InputError(f"the address {split.scheme}://{split.netloc} goes on with what is no path", todo=todo)
    return split


def _origin(split: SplitResult) -> tuple[str, str | None, int]:
    return split.scheme, split.hostname, split.port or (443 if split.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False
