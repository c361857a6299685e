"""Any OpenAI-compatible endpoint as a Backend: vLLM, llama.cpp's server, a cloud, `isthmus serve`."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import uniform
from typing import Any

import openai

from isthmus.backends import openai_errors, wire
from isthmus.backends.backend import Delta, Finish, Options, Stream, Tool, Usage, check_messages
from isthmus.backends.chunks import Chunks
from isthmus.backends.endpoint import Endpoint, endpoint
from isthmus.backends.feed import Feed, Loop, Task
from isthmus.errors import IsthmusError
from isthmus.messages import Message
from isthmus.stopwatch import Part, Watch, current, part

UNKNOWN = Usage(None, None, None)


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a server, and how often to ask again when it fails before its first piece."""

    connect: float = 10.0
    first: float = 600.0
    """From the sending to the first piece: the prompt is read, which on a slow machine with pictures takes minutes."""
    between: float = 120.0
    """From piece to piece. Keep-alives are none; thoughts are."""
    retries: int = 2
    """After a lost connection, 408, 409, 429 and 5xx. Running out of `first` is not retried: the prompt would be read
    once more."""
    backoff: float = 0.5
    """Before the first retry, doubled for each further one; a server's Retry-After counts where it sends one."""
    longest: float = 60.0
    """A Retry-After above it is not waited for."""


class OpenAIBackend:
    """The model `model` at the server `url`, as `/chat/completions` below that address answers.

    Answers are made side by side. What the server sends is read ahead of a slow reader; what was given is never asked
    for again. Closing a stream closes its connection, also while another thread waits for its next piece: that thread
    is told `cancelled`.
    """

    def __init__(self, model: str, url: str | None = None, *, patience: Patience | None = None) -> None:
        """`url` None, and keys: as `endpoint`, whose InputError it raises."""
        self.name = f"openai:{model}" + (f"@{url}" if url else "")
        self._model, self._patience = model, patience or Patience()
        self._server = endpoint(url)
        self._client = _client(self._server, self._patience)
        self._loop = Loop("isthmus-openai", self._client.close)
        self._length = "max_tokens"
        """What the server calls the length of an answer."""

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        """See Backend. Raises InputError also where the server refuses the question."""
        task: Task[Delta] = Task(self._loop)
        return Feed(self._deltas(task, messages, tools, options), task)

    def _deltas(
        self, task: Task[Delta], messages: Sequence[Message], tools: Sequence[Tool] | None, options: Options
    ) -> Stream:
        check_messages(messages)
        with part("preprocess"):
            body = wire.request(self._model, messages, tools, options)
        pictures = any(message.pictures for message in messages)
        finished = False
        watch = current()
        for delta in task.items(lambda give: self._answer(body, options.stop, pictures, watch, give)):
            finished = delta.finish is not None
            yield delta
        if not finished:
            yield Delta(finish=Finish("cancelled", UNKNOWN))

    async def _answer(
        self,
        body: dict[str, Any],
        stop: tuple[str, ...],
        pictures: bool,
        watch: Watch | None,
        give: Callable[[Delta], None],
    ) -> None:
        """Asks, and asks again where that may help and nothing has come yet."""
        retry, most = count(), body.pop("max_tokens")
        while True:
            length, chunks = self._length, Chunks(self._server.url, stop, pictures=pictures)
            failure: IsthmusError | None = None
            try:
                await self._read(body | {length: most}, chunks, watch, give)
            except openai.APIError as error:
                if length == "max_tokens" and openai_errors.asks_for_other_length(error):
                    self._length = "max_completion_tokens"
                    continue
                if not chunks.began and (wait := self._wait(error, next(retry))) is not None:
                    await asyncio.sleep(wait)
                    continue
                failure = await self._failure(error, began=chunks.began)
            if failure is not None:
                raise failure  # outside of `except`: `error` holds the server's words, which may repeat the key
            for delta in chunks.end():
                give(delta)
            return

    async def _read(
        self, body: dict[str, Any], chunks: Chunks, watch: Watch | None, give: Callable[[Delta], None]
    ) -> None:
        """One request, until the answer is whole or the server has no more to say."""
        now = asyncio.get_running_loop().time
        began = now()

        def note(name: Part) -> None:
            nonlocal began
            if watch is not None:
                watch.add(name, now() - began)
            began = now()

        try:
            async with asyncio.timeout(self._patience.first) as limit:
                async with await self._post(body) as response:
                    note("send")
                    async for chunk in response:
                        if text := chunks.add(chunk):
                            if watch is not None and watch.open:
                                note("wait")
                                watch.open = False
                            give(Delta(text))
                        if chunks.stopped:
                            return
                        if chunks.began:
                            limit.reschedule(now() + self._patience.between)
        except TimeoutError:
            if not chunks.ended:
                raise self._late(chunks) from None
        except openai.APIConnectionError:
            if not chunks.ended:
                raise
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            todo = "look at its log, or ask again"
            raise IsthmusError(f"{self._server.url} sent what is no JSON", why=str(error)[:200], todo=todo) from None

    async def _post(self, body: dict[str, Any]) -> "openai.AsyncStream[object]":
        # Not `chat.completions.create`: it would put the chunks into types of its own, whatever is in them.
        return await self._client.post(
            "/chat/completions",
            cast_to=object,
            body=body,
            options=_unasked(self._server),
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )

    def _wait(self, error: openai.APIError, retry: int) -> float | None:
        """Seconds until the next try; None: there is none."""
        if retry >= self._patience.retries or not openai_errors.is_transient(error):
            return None
        asked = openai_errors.retry_after(error)
        if asked is not None:
            return asked if asked <= self._patience.longest else None
        return self._patience.backoff * 2.0**retry * uniform(0.5, 1.0)  # not all clients at once

    async def _failure(self, error: openai.APIError, *, began: bool) -> IsthmusError:
        lost = isinstance(error, openai.APIStatusError) and error.status_code == 404
        models = await self._models() if lost else None
        return openai_errors.failure(error, self._server, self._model, models, began=began)

    async def _models(self) -> tuple[str, ...] | None:
        """What the server says it has; None where it does not say."""
        try:
            async with asyncio.timeout(self._patience.connect):
                listed = await self._client.get("/models", cast_to=object, options=_unasked(self._server))
        except (openai.APIError, TimeoutError, json.JSONDecodeError):
            return None
        match listed:
            case {"data": list(models)}:
                return tuple(str(each["id"]) for each in models if isinstance(each, dict) and "id" in each)
        return None

    def _late(self, chunks: Chunks) -> IsthmusError:
        patience, url = self._patience, self._server.url
        if chunks.began:
            return IsthmusError(f"{url} broke off", why=f"nothing came for {patience.between:g} s", todo="ask again")
        return IsthmusError(
            f"{url} gave nothing in {patience.first:g} s",
            why="it may still read the prompt",
            todo="give fewer or smaller pictures, or more Patience",
        )


def _client(server: Endpoint, patience: Patience) -> openai.AsyncOpenAI:
    """Tries once, follows no redirects (pictures go where they were sent), and asks no proxy about this machine.

    The key is a header of ours, so that none from OPENAI_CUSTOM_HEADERS or OPENAI_ADMIN_KEY goes in its place."""
    headers = {} if server.key is None else {"Authorization": f"Bearer {server.key.get_secret_value()}"}
    return openai.AsyncOpenAI(
        api_key="none",
        base_url=server.url,
        default_headers=headers,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(
            timeout=openai.Timeout(None, connect=patience.connect),
            follow_redirects=False,
            trust_env=not server.loopback,
        ),
    )


def _unasked(server: Endpoint) -> Any:
    """Options of a request: to leave out what the client would send of itself."""
    left_out = [] if server.home else ["OpenAI-Organization", "OpenAI-Project"]
    if server.key is None:
        left_out.append("Authorization")
    return {"headers": dict.fromkeys(left_out, openai.Omit()), "security": {"bearer_auth": True}}
