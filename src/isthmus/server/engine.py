"""What all requests share: the model, the places before it, the threads that read and answer, and the end of it all."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from threading import Event
from typing import TypeVar

from starlette.types import Receive

from isthmus.backends.backend import Backend
from isthmus.server.admission import Admission, Place, QueueFull
from isthmus.server.answer import Answer
from isthmus.server.answers import Health, State
from isthmus.server.embedding import Embeddings, Inputs, Vectors
from isthmus.server.leaving import Gone, leaving
from isthmus.server.metrics import Metrics
from isthmus.server.problems import Refused, loading, queue_full, stopping
from isthmus.server.question import Question
from isthmus.server.settings import Settings
from isthmus.stopwatch import Watch

READERS = 4
SMALL = 16_384
"""Bytes of a body that are read at once, a millisecond's work; a thread would take longer to begin."""

DEFAULT = "default"

T = TypeVar("T")


class Engine:
    """One server's. Made anywhere, used in one event loop.

    `names`: what the model is called, the first of them in answers. `backend` may come later: until then requests are
    answered with 503. `embeddings` None: there are none.
    """

    def __init__(
        self,
        settings: Settings,
        names: tuple[str, ...],
        backend: Backend | None = None,
        embeddings: Embeddings | None = None,
    ) -> None:
        self.settings, self.names, self.backend, self.embeddings = settings, names, backend, embeddings
        self.started = int(time.time())
        self.stopping = False
        self.admission = Admission(settings.slots, settings.queue)
        self.metrics = Metrics()
        self._embedding = Admission(1, settings.queue)
        self._readers = ThreadPoolExecutor(READERS, "read")
        self._answerers = ThreadPoolExecutor(settings.slots, "answer")
        self._embedder = ThreadPoolExecutor(1, "embed")
        self._under_way: set[object] = set()
        self._quiet = asyncio.Event()
        for name, what, value in (
            ("isthmus_slots", "Answers that can be made at once.", lambda: self.admission.slots),
            ("isthmus_answering", "Slots taken.", lambda: self.admission.busy),
            ("isthmus_waiting", "Requests that wait for a slot.", lambda: self.admission.waiting),
        ):
            self.metrics.follow(name, what, value)

    @property
    def state(self) -> State:
        if self.stopping:
            return "stopping"
        if self.backend is None:
            return "loading"
        return "busy" if self.admission.busy >= self.admission.slots else "ready"

    def health(self) -> Health:
        here = self.admission
        return Health(status=self.state, answering=here.busy, slots=here.slots, waiting=here.waiting, queue=here.queue)

    def check_open(self) -> None:
        """Before a body is read. Raises Refused where it could not be answered anyway."""
        if self.stopping:
            raise stopping()
        if self.backend is None:
            raise loading()
        if self.admission.is_full:
            raise queue_full(self.admission.waiting)

    async def read(self, body: bytes, watch: Watch, read: Callable[[bytes], T]) -> T:
        """`read(body)`, in a thread where it could take long. Raises what it raises."""
        sent = time.perf_counter()

        def timed() -> T:
            watch.add("queue", time.perf_counter() - sent)
            with watch.part("decode"):
                return read(body)

        if len(body) <= SMALL and b"data:image" not in body:
            return timed()
        return await asyncio.get_running_loop().run_in_executor(self._readers, timed)

    @asynccontextmanager
    async def answering(self, question: Question, watch: Watch, receive: Receive) -> AsyncIterator[Answer]:
        """An answer that has got its slot and is being made; left before its end, it ends. Raises Refused, and Gone
        where the client left the queue."""
        if question.model not in (*self.names, DEFAULT):
            raise no_model(question.model)
        if self.backend is None:
            raise loading()
        place = self._enter(self.admission)
        answer, began = Answer(self.backend, question, watch, place.leave), False

        def gone() -> None:
            answer.end("gone")
            if not place.granted.done():
                place.leave()

        asked = time.perf_counter()
        async with leaving(receive, gone), self._counted(answer):
            try:
                await self._granted(place)
                watch.add("queue", time.perf_counter() - asked)
                self._answerers.submit(answer.run)
                began = True
                yield answer
            finally:
                answer.end("gone")
                if not began:
                    place.leave()

    async def embed(self, inputs: Inputs, receive: Receive) -> Vectors:
        """One request at a time. Raises Refused, and Gone where the client left."""
        if self.embeddings is None or inputs.model not in (*self.embeddings.names, DEFAULT):
            raise no_model(inputs.model)
        place, left = self._enter(self._embedding), Event()

        def gone() -> None:
            left.set()
            if not place.granted.done():
                place.leave()

        async with leaving(receive, gone), self._counted(place):
            try:
                await self._granted(place)
                work = partial(self.embeddings.of, inputs, left.is_set)
                return await asyncio.get_running_loop().run_in_executor(self._embedder, work)
            finally:
                place.leave()

    async def stop(self) -> None:
        """Nobody is let in any more, who waits is sent away, and answers under way have `grace` seconds, after `hurry`
        none."""
        self.stopping = True
        self.admission.send_away()
        self._embedding.send_away()
        if self._under_way:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.grace):
                    await self._quiet.wait()
        for each in list(self._under_way):
            if isinstance(each, Answer):
                each.end("stopping")

    def hurry(self) -> None:
        self._quiet.set()

    def close(self) -> None:
        """Waits for the step that each thread is in. Not in the event loop, which they report to."""
        for threads in (self._readers, self._answerers, self._embedder):
            threads.shutdown(cancel_futures=True)

    def _enter(self, admission: Admission) -> Place:
        if self.stopping:
            raise stopping()
        try:
            return admission.enter()
        except QueueFull:
            raise queue_full(admission.waiting) from None

    async def _granted(self, place: Place) -> None:
        if not await place.granted:
            raise stopping() if self.stopping else Gone

    @asynccontextmanager
    async def _counted(self, each: object) -> AsyncIterator[None]:
        """As under way, so that an orderly end waits for it."""
        self._under_way.add(each)
        try:
            yield
        finally:
            self._under_way.discard(each)
            if self.stopping and not self._under_way:
                self._quiet.set()


def no_model(name: str) -> Refused:
    return Refused(404, f"there is no model {name!r} here", param="model", code="model_not_found")
