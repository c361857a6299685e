"""Start the server, load the model, say when it is ready, and end without breaking off anybody's answer."""

import asyncio
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from isthmus.backends.backend import Backend
from isthmus.errors import InputError
from isthmus.http.gate import Here
from isthmus.http.listening import address_of, check_host, listening, open_browser
from isthmus.http.secret import Secret
from isthmus.server.app import make_app
from isthmus.server.embedding import Embeddings
from isthmus.server.engine import Engine
from isthmus.server.settings import Settings

PORT = 8643
"""Where no other is asked for; where it is taken, any that is free."""

HARM = "whoever has the token could use the model, and what is sent is not encrypted"

LEAVE = 5
"""Seconds to take what is left of an answer, once all have ended."""

SWITCH = 0.001
"""Seconds that a thread which makes an answer keeps the interpreter from the event loop; Python's 5 ms would be added
to every token of the others."""

KEEP_ALIVE = 75
"""Seconds that a connection may be idle; longer than clients keep theirs, so that none finds it closed."""


def serve(
    load: Callable[[], Backend],
    names: tuple[str, ...],
    *,
    settings: Settings,
    embeddings: Embeddings | None,
    secret: Secret | None,
    host: str = "127.0.0.1",
    port: int | None = None,
    exposed: bool = False,
    allowed: frozenset[str] = frozenset(),
    begun: Callable[[str], None],
    ready: Callable[[], None],
    browser: bool = True,
) -> None:
    """Serve until Ctrl-C or SIGTERM; a second one ends answers under way at once.

    `load` gives the model, beside all else: until then requests are answered with 503. `begun` is told the address,
    http://HOST:PORT/, and `ready` is called once the model is there. `allowed`: names of this server, HOST or
    HOST:PORT. `secret` None: no token, on loopback only. Raises InputError, and what `load` raises.
    """
    check_host(host, exposed=exposed, why=HARM)
    if exposed and secret is None:
        todo = "leave out --no-token, or --exposed"
        raise InputError("a server without a token is for this machine only", todo=todo)
    with listening(host, port, PORT) as listener:
        engine = Engine(settings, names, embeddings=embeddings)
        app = make_app(engine, secret, Here(listener.getsockname()[1], exposed, allowed))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=LEAVE,
            timeout_keep_alive=KEEP_ALIVE, lifespan="off", ws="none",
        )  # fmt: skip
        sys.setswitchinterval(SWITCH)
        address = address_of(host, listener)
        begun(address)
        if browser:
            open_browser(f"{address}#token={secret.once()}" if secret else address)
        asyncio.run(_Server(config, engine, load, ready).run(listener))


class _Server(uvicorn.Server):
    """uvicorn's, with the model loaded beside it, and with an end that lets answers finish."""

    def __init__(
        self, config: uvicorn.Config, engine: Engine, load: Callable[[], Backend], ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._engine, self._load, self._ready = engine, load, ready
        self._failure: BaseException | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def run(self, listener: object) -> None:  # type: ignore[override]
        self._loop = asyncio.get_running_loop()
        # A daemon: whoever ends the server while it loads need not wait for it.
        threading.Thread(target=self._get_ready, name="load model", daemon=True).start()
        await self.serve(sockets=[listener])  # type: ignore[list-item]
        await asyncio.to_thread(self._engine.close)
        if self._failure is not None:
            raise self._failure

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's signature)
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        else:
            self._engine.hurry()

    async def _stop(self) -> None:
        await self._engine.stop()
        self.should_exit = True  # only now: until then, who comes is told so

    def _get_ready(self) -> None:
        """The loading thread."""
        try:
            backend = self._load()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._loop.call_soon_threadsafe(self._fail, error)
        else:
            self._loop.call_soon_threadsafe(self._begin, backend)

    def _begin(self, backend: Backend) -> None:
        self._engine.backend = backend
        self._ready()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self.should_exit = True
