"""Noticing that a client has gone while it is waited for or written to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import Receive


class Gone(Exception):
    """Nobody is there to be answered."""


@asynccontextmanager
async def leaving(receive: Receive, gone: Callable[[], None]) -> AsyncIterator[None]:
    """Within it, `gone` is called in the event loop once the client has left. The request's body must be read."""

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone()

    listener = asyncio.create_task(listen())
    try:
        yield
    finally:
        listener.cancel()
