"""One answer on its way from the backend, in a thread, to a client, in the event loop.

The thread never waits for the client: what has come is kept until it is taken, pieces that came meanwhile are taken as
one, and a slot is free as soon as the model is done. A client that reads too slowly for that is let go. The loop never
waits for the backend: whoever ends an answer is done at once, and the thread closes the stream after the step it is in.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from threading import Lock
from typing import Literal, TypeAlias

from isthmus.backends.backend import Backend, Delta, Finish
from isthmus.server.question import Question
from isthmus.stopwatch import Watch, watching

MOST_UNREAD = 1_000_000
"""Characters that a client may be behind."""

Ended: TypeAlias = Literal["gone", "slow", "stopping"]
"""By whom, other than the model: the client left, or is too slow; the server stops."""


class Answer:
    """Made in the event loop. `run` is the thread's; everything else is the loop's."""

    def __init__(self, backend: Backend, question: Question, watch: Watch, closed: Callable[[], None]) -> None:
        """`closed` is called in the loop once the backend's stream is closed."""
        self._backend, self._question, self._watch, self._closed = backend, question, watch, closed
        self.model = backend.name
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._come: list[Delta] = []
        self._unread = 0
        self._over = False
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self.ended: Ended | None = None
        self.first: float | None = None
        """When the first text or call came, on `time.perf_counter`'s clock; of an empty answer, when it ended."""
        self.finish: Finish | None = None

    def run(self) -> None:
        """Reads the backend's stream to its end, or until someone has ended the answer."""
        question = self._question
        try:
            if self.ended is None:
                stream = self._backend.stream(question.messages, tools=question.tools, options=question.options)
                with watching(self._watch), closing(stream):
                    for delta in stream:
                        if self.first is None:
                            self.first = time.perf_counter()
                            self._watch.open = False
                        if not self._give(delta):
                            break
        except Exception as error:  # noqa: BLE001 - told to whoever takes, and logged there
            self._failure = error
        finally:
            self._loop.call_soon_threadsafe(self._is_over)

    async def take(self) -> list[Delta]:
        """All that has come since, at least one Delta, texts that follow each other as one. Nothing where the answer
        has ended, by itself or by `ended`. Raises what the backend raised."""
        await self._news.wait()
        with self._lock:
            come, self._come, self._unread = self._come, [], 0
            if not (self._over or self.ended):
                self._news.clear()
        if come:
            return _joined(come)
        if self._failure is not None and self.ended is None:
            raise self._failure
        return []

    def end(self, by: Ended) -> None:
        """From now on nothing is read of the backend. Of what has come, nothing is lost."""
        if self.ended is None and self.finish is None and not self._over:
            self.ended = by
            self._news.set()

    def _give(self, delta: Delta) -> bool:
        """Whether more is wanted."""
        with self._lock:
            if self.ended is not None:
                return False
            self._come.append(delta)
            self._unread += len(delta.text)
            self.finish = delta.finish
            if self._unread > MOST_UNREAD:
                self._loop.call_soon_threadsafe(self.end, "slow")
            if len(self._come) == 1:
                self._loop.call_soon_threadsafe(self._news.set)
        return True

    def _is_over(self) -> None:
        self._over = True
        self._news.set()
        self._closed()


def _joined(come: list[Delta]) -> list[Delta]:
    deltas: list[Delta] = []
    texts: list[str] = []
    for delta in come:
        if delta.text:
            texts.append(delta.text)
        if delta.tool_calls or delta.finish:
            if texts:
                deltas.append(Delta("".join(texts)))
                texts = []
            deltas.append(Delta(tool_calls=delta.tool_calls, finish=delta.finish))
    return [*deltas, Delta("".join(texts))] if texts else deltas
