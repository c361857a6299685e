"""Start the server, say where it is, open the browser, and end cleanly."""

import errno
import ipaddress
import logging
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from isthmus.errors import InputError
from isthmus.photos.serve.app import make_app
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.guard import Secret
from isthmus.photos.serve.thumbnails import KEEP, Thumbnails
from isthmus.photos.store import Library

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.contrastive.words import WordsFirst

PORT = 8642
"""Where no other is asked for; where it is taken, any that is free."""

LEAVE = 2
"""Seconds that an answer on its way has, once the server is asked to stop."""


def serve(
    library: Library,
    load: "Callable[[], Embedder | WordsFirst] | None",
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    exposed: bool = False,
    browser: bool = True,
    keep: int = KEEP,
    say: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C or SIGTERM. `load` gives the model, beside all else. `say` is told the address, a line.

    `exposed`: `host` may be an address that other machines reach. `keep`: bytes of thumbnails. Raises InputError.
    """
    check_host(host, exposed=exposed)
    with listening(host, port) as listener:
        at = listener.getsockname()[1]
        engine = Engine(library, load, Thumbnails(folder_of_thumbnails(library), keep=keep))
        secret = Secret()
        app = make_app(engine, secret, at, exposed=exposed)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=LEAVE,
            lifespan="off", ws="none",
        )  # fmt: skip
        address = f"http://{_written(host)}:{at}/"
        say(f"{address}#token={secret.token}")
        logging.getLogger("PIL").setLevel(logging.CRITICAL)
        engine.start()
        if browser:
            # It listens already: what the browser asks waits until the server is up.
            opened = f"{address}#token={secret.once()}"
            threading.Thread(target=webbrowser.open, args=(opened,), name="open browser", daemon=True).start()
        uvicorn.Server(config).run(sockets=[listener])


def check_host(host: str, *, exposed: bool) -> None:
    """Raises InputError for an address that is none, and for one that other machines reach unless `exposed`."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise InputError(f"{host} is no address", todo="give one such as 127.0.0.1") from None
    if not address.is_loopback and not exposed:
        raise InputError(
            f"{host} can be reached from other machines",
            why="whoever has the address with its token would see all photos, and what is sent is not encrypted",
            todo="leave --host out, or add --exposed if that is what you want",
        )


def listening(host: str, port: int | None) -> socket.socket:
    """A socket at `port`, at any that is free for 0; for None at the usual one, or where that is taken at any.

    Raises InputError.
    """
    try:
        return _bound(host, PORT if port is None else port)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return _bound(host, 0)
        why = error.strerror or str(error)
        raise InputError(
            f"port {PORT if port is None else port} of {host} cannot be used", why=why, todo="--port 0 takes a free one"
        ) from None


def folder_of_thumbnails(library: Library) -> Path:
    return library.folder / "thumbnails"


def _bound(host: str, port: int) -> socket.socket:
    name = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    # By the protocol's number asyncio knows that small parts are to be sent at once; without it each answer waits for
    # the other side to acknowledge the part before, 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((name, port))
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host
