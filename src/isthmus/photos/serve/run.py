"""Start the server, say where it is, open the browser, and end cleanly."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from isthmus.http.listening import address_of, check_host, listening, open_browser
from isthmus.http.secret import Secret
from isthmus.photos.serve.app import make_app
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.thumbnails import KEEP, Thumbnails
from isthmus.photos.store import Library

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.contrastive.words import WordsFirst

PORT = 8642
"""Where no other is asked for; where it is taken, any that is free."""

HARM = "whoever has the address with its token would see all photos, and what is sent is not encrypted"

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
    check_host(host, exposed=exposed, why=HARM)
    with listening(host, port, PORT) as listener:
        at = listener.getsockname()[1]
        engine = Engine(library, load, Thumbnails(folder_of_thumbnails(library), keep=keep))
        secret = Secret()
        app = make_app(engine, secret, at, exposed=exposed)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=LEAVE,
            lifespan="off", ws="none",
        )  # fmt: skip
        address = address_of(host, listener)
        say(f"{address}#token={secret.token}")
        logging.getLogger("PIL").setLevel(logging.CRITICAL)
        engine.start()
        if browser:
            open_browser(f"{address}#token={secret.once()}")
        uvicorn.Server(config).run(sockets=[listener])


def folder_of_thumbnails(library: Library) -> Path:
    return library.folder / "thumbnails"
