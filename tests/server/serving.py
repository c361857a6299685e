"""A real server on a real socket, over a backend that tests hold in their hands."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition

import uvicorn
from openai import OpenAI

from isthmus.backends.backend import Backend, Delta, Finish, Options, Stream, Tool, ToolCall, Usage, check_messages
from isthmus.http.gate import Here
from isthmus.http.listening import listening
from isthmus.http.secret import Secret
from isthmus.messages import Message
from isthmus.server.app import make_app
from isthmus.server.embedding import Embeddings
from isthmus.server.engine import Engine
from isthmus.server.settings import Settings
from isthmus.stopwatch import part

NAME = "tiny/model"
PATIENCE = 60
"""Seconds: a condition that never comes is a failure all the same."""


@dataclass
class Served:
    engine: Engine
    address: str
    token: str
    loop: asyncio.AbstractEventLoop

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self, **settings: object) -> OpenAI:
        return OpenAI(base_url=f"{self.address}v1", api_key=self.token, max_retries=0, timeout=PATIENCE, **settings)

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits for what the event loop will do."""

        async def wait() -> None:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    await asyncio.sleep(0.005)

        asyncio.run_coroutine_threadsafe(wait(), self.loop).result()


@contextmanager
def served(
    backend: Backend | None,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    embeddings: Embeddings | None = None,
    *,
    token: bool = True,
) -> Iterator[Served]:
    with listening("127.0.0.1", 0, 0) as listener:
        secret, port = Secret(), listener.getsockname()[1]
        engine = Engine(settings, (NAME, "alias"), backend, embeddings)
        app = make_app(engine, secret if token else None, Here(port))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        )
        loops: list[asyncio.AbstractEventLoop] = []
        started = threading.Event()

        async def run() -> None:
            loops.append(asyncio.get_running_loop())
            started.set()
            await server.serve(sockets=[listener])
            await asyncio.to_thread(engine.close)

        thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
        thread.start()
        assert started.wait(PATIENCE)
        try:
            yield Served(engine, f"http://127.0.0.1:{port}/", secret.token, loops[0])
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


@dataclass
class Held:
    """Says `a` for each permit that a question has got, and counts its streams. With tools it calls two."""

    name: str = NAME
    changed: Condition = field(default_factory=Condition)
    opened: int = 0
    closed: int = 0
    asked: list[Sequence[Message]] = field(default_factory=list)
    options: list[Options] = field(default_factory=list)
    most_open: int = 0
    given: Counter[str | None] = field(default_factory=Counter)
    """Permits by question; of None, those that every question has."""
    said: Counter[str] = field(default_factory=Counter)

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        check_messages(messages)
        question = messages[-1].text
        self._count(opened=1)
        self.asked.append(messages)
        self.options.append(options)
        try:
            if tools:
                call = ToolCall("call_1", tools[0].name, '{"city": "Ulm"}')
                yield Delta("Let me see.")
                yield Delta(tool_calls=(call, ToolCall("call_2", tools[-1].name, "{}")))
                yield Delta(finish=Finish("tool_calls", Usage(3, None, 2)))
                return
            for _ in range(options.max_tokens):
                with part("prefill"):
                    self.until(lambda held: held.said[question] < held.given[question] + held.given[None])
                with self.changed:
                    self.said[question] += 1
                    self.changed.notify_all()
                yield Delta("a")
            yield Delta(finish=Finish("length", Usage(1, 0, options.max_tokens)))
        finally:
            self._count(closed=1)

    def permit(self, count: int = 1, question: str | None = None) -> None:
        """To say so many more; None: to every question, also later ones."""
        with self.changed:
            self.given[question] += count
            self.changed.notify_all()

    def until(self, holds: Callable[["Held"], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: holds(self), PATIENCE)

    def _count(self, opened: int = 0, closed: int = 0) -> None:
        with self.changed:
            self.opened += opened
            self.closed += closed
            self.most_open = max(self.most_open, self.opened - self.closed)
            self.changed.notify_all()
