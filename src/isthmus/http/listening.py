"""Where a server listens: which address it may have, at which port, and how that is opened in a browser."""

import errno
import ipaddress
import socket
import threading
import webbrowser

from isthmus.errors import InputError

BACKLOG = 1024
"""Connections that wait to be accepted: where they are full, a client tries again after a second."""


def check_host(host: str, *, exposed: bool, why: str) -> None:
    """Raises InputError for an address that is none, and for one that other machines reach unless `exposed`; `why` says
    what they would see."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise InputError(f"{host} is no address", todo="give one such as 127.0.0.1") from None
    if not address.is_loopback and not exposed:
        raise InputError(
            f"{host} can be reached from other machines",
            why=why,
            todo="leave --host out, or add --exposed if that is what you want",
        )


def listening(host: str, port: int | None, usual: int) -> socket.socket:
    """A socket at `port`, at any that is free for 0; for None at the `usual` one, or where that is taken at any.

    Raises InputError.
    """
    try:
        return _bound(host, usual if port is None else port)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return _bound(host, 0)
        why = error.strerror or str(error)
        raise InputError(
            f"port {usual if port is None else port} of {host} cannot be used",
            why=why,
            todo="--port 0 takes a free one",
        ) from None


def address_of(host: str, listener: socket.socket) -> str:
    """http://HOST:PORT/"""
    written = f"[{host}]" if ":" in host else host
    return f"http://{written}:{listener.getsockname()[1]}/"


def open_browser(address: str) -> None:
    """Beside all else: what the browser asks waits until the server is up."""
    threading.Thread(target=webbrowser.open, args=(address,), name="open browser", daemon=True).start()


def _bound(host: str, port: int) -> socket.socket:
    name = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    # By the protocol's number asyncio knows that small parts are to be sent at once; without it each answer waits for
    # the other side to acknowledge the part before, 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((name, port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
