"""A real server over a library."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from isthmus.http.listening import listening
from isthmus.http.secret import Secret
from isthmus.photos.serve.app import make_app
from isthmus.photos.serve.engine import Engine
from isthmus.photos.serve.thumbnails import Thumbnails
from isthmus.photos.store import Library

from ..fakes import ColourEmbedder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address to open, with its token, while the library in `folder` is served."""
    with Library.read(folder) as library, listening("127.0.0.1", 0, 0) as listener:
        engine = Engine(library, ColourEmbedder, Thumbnails(folder / "thumbnails"))
        engine.start()
        secret, port = Secret(), listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(engine, secret, port), log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/#token={secret.token}"
        finally:
            server.should_exit = True
            thread.join(30)
