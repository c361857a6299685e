"""A server on a loopback socket that speaks the chat API's wire format and answers from Scripted.

What servers do wrong is scripted too: each request takes the next of `faults`, and none when they are used up.
"""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from isthmus.backends.backend import Delta, Finish, Options, Tool
from isthmus.errors import InputError
from isthmus.messages import parse
from tests.backends.scripted import Scripted

MODEL = "scripted"
WORDS = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}


@dataclass(frozen=True)
class Fault:
    """How one answer differs from a good server's."""

    status: int = 200
    """Any other: refused with `body`, a dict sent as JSON."""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterable[Any] | None = None
    """Sent in place of the answer: a dict as a chunk's JSON, a str as it stands."""
    drop_after: int | None = None
    """Chunks after which the connection is cut."""
    hold_after: int | None = None
    """Chunks after which nothing more comes until the client goes away. 0: not even a header."""
    keep_alive: bool = False
    """While it holds, and between chunks, comments are sent."""
    newline: str = "\n"
    usage: bool = True
    done: bool = True
    """Whether it ends with `[DONE]`."""
    reason: str | None = "as it is"
    piece: int | None = None
    """Bytes a write, whatever they cut apart."""
    style: str = "whole"
    """How calls are sent: see `_calls`."""
    deaf: bool = False
    """Whether it passes over stop strings."""


class Served:
    """`url` as a user gives it. `asked` are the bodies of all requests, `headers` theirs."""

    def __init__(self) -> None:
        self.url = ""
        self.scripted = Scripted()
        self.faults: list[Fault] = []
        self.long: int | None = None
        """Letters after which an answer of many waits for its reader to go away."""
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gone = threading.Semaphore(0)
        """Released for each client that went away before its answer ended."""
        self.holding = threading.Semaphore(0)
        """Released each time an answer begins to hold."""
        self._quiet = threading.Condition()
        self._open = 0

    def settled(self, timeout: float = 30) -> int:
        """Letters made, once no answer is under way."""
        with self._quiet:
            assert self._quiet.wait_for(lambda: self._open == 0, timeout), "an answer goes on without its reader"
        return len(self.scripted.work)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        if scope["path"] == "/v1/models":
            await _respond(send, 200, {"data": [{"id": MODEL}, {"id": "another"}]})
            return
        if scope["path"] != "/v1/chat/completions":
            await _respond(send, 404, {"detail": "Not Found"})
            return
        fault = self.faults.pop(0) if self.faults else Fault()
        asked = json.loads(body)
        self.asked.append(asked)
        with self._quiet:
            self._open += 1
        try:
            if fault.status != 200:
                await _respond(send, fault.status, fault.body, fault.headers)
            elif fault.chunks is None and asked["model"] != MODEL:
                await _respond(send, 404, {"error": {"message": f"The model {asked['model']} does not exist."}})
            else:
                await self._stream(asked, fault, receive, send)
        finally:
            with self._quiet:
                self._open -= 1
                self._quiet.notify_all()

    async def _stream(self, asked: dict[str, Any], fault: Fault, receive: Any, send: Any) -> None:
        leaving = asyncio.create_task(_left(receive))
        try:
            answer = asyncio.create_task(self._send(asked, fault, send))
            await asyncio.wait([answer, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                answer.cancel()
                self.gone.release()
            with suppress(asyncio.CancelledError):
                await answer
        finally:
            leaving.cancel()

    async def _send(self, asked: dict[str, Any], fault: Fault, send: Any) -> None:
        if fault.hold_after == 0:
            await self._hold()
        kind = fault.headers.get("content-type", "text/event-stream")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})
        count = 0
        try:
            async for chunk in self._chunks(asked, fault):
                if fault.keep_alive:
                    await _write(send, f": keep-alive{fault.newline}{fault.newline}".encode(), fault.piece)
                text = chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False)
                await _write(send, f"data: {text}{fault.newline}{fault.newline}".encode(), fault.piece)
                count += 1
                if count == fault.drop_after:
                    raise ConnectionAbortedError  # the server then cuts the connection
                if count == fault.hold_after:
                    self.holding.release()
                    while fault.keep_alive:
                        await _write(send, b": keep-alive\n\n", None)
                        await asyncio.sleep(0.02)
                    await asyncio.Event().wait()
        except InputError as error:
            await _write(send, f"data: {json.dumps({'error': {'message': str(error)}})}\n\n".encode(), None)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n" if fault.done else b""})

    async def _hold(self) -> None:
        self.holding.release()
        await asyncio.Event().wait()

    async def _chunks(self, asked: dict[str, Any], fault: Fault) -> AsyncIterator[Any]:
        if fault.chunks is not None:
            for chunk in fault.chunks:
                yield chunk
            return
        yield _choice({"role": "assistant", "content": ""})
        letters = 0
        options = _options(asked, fault)
        for delta in self.scripted.stream(parse(asked["messages"]), tools=_tools(asked), options=options):
            await asyncio.sleep(0)  # so that a reader's leaving is noticed
            for each in _written(delta, fault):
                yield each
            letters += len(delta.text)
            if self.long is not None and letters >= self.long:
                await self._hold()
            if delta.finish is not None and fault.usage:
                yield {"choices": [], "usage": _usage(delta.finish)}


@contextmanager
def serve() -> Iterator[Served]:
    served = Served()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            served, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1, access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        served.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join(30)


def chunk(text: str = "", reason: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk as the API writes it."""
    return _choice(({"content": text} if text else {}) | delta, reason)


def _choice(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": reason}
    return {"id": "1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}


def _written(delta: Delta, fault: Fault) -> list[Any]:
    if delta.finish is not None:
        reason = WORDS[delta.finish.reason] if fault.reason == "as it is" else fault.reason
        return [_choice({}, reason)] if reason else []
    if delta.tool_calls:
        calls = [
            {
                "index": at,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for at, call in enumerate(delta.tool_calls)
        ]
        return [_choice({"tool_calls": fragments}) for fragments in cut(calls, fault.style)]
    return [_choice({"content": delta.text})]


def cut(calls: list[dict[str, Any]], style: str) -> list[list[dict[str, Any]]]:
    """The calls as servers send them, chunk by chunk."""

    def rest(call: dict[str, Any], arguments: str, *also: str) -> dict[str, Any]:
        return {key: call[key] for key in ("index", *also)} | {"function": {"arguments": arguments}}

    def without(call: dict[str, Any], *keys: str) -> dict[str, Any]:
        return {key: value for key, value in call.items() if key not in keys}

    pieces = [[text[at : at + 3] for at in range(0, len(text), 3)] for text in map(_arguments, calls)]
    first = [call | {"function": call["function"] | {"arguments": ""}} for call in calls]
    match style:
        case "whole":
            return [[call] for call in calls]
        case "whole at once":
            return [calls]
        case "fragments":
            return [
                [each]
                for call, begun, texts in zip(calls, first, pieces, strict=True)
                for each in (begun, *(rest(call, text) for text in texts))
            ]
        case "interleaved":
            longest = max(map(len, pieces))
            turns = [
                [rest(call, texts[at])]
                for at in range(longest)
                for call, texts in zip(calls, pieces, strict=True)
                if at < len(texts)
            ]
            return [first, *turns]
        case "no index":
            return [[without(each, "index")] for (each,) in cut(calls, "fragments")]
        case "id in every fragment":
            return [
                [rest(call, text, "id") | {"function": {"name": call["function"]["name"], "arguments": text}}]
                for call, texts in zip(calls, pieces, strict=True)
                for text in texts
            ]
        case "all have index 0":
            return [[call | {"index": 0}] for call in calls]
        case "no index, no id":
            return [[without(call, "index", "id")] for call in calls]
        case "arguments as an object":
            return [
                [call | {"function": call["function"] | {"arguments": json.loads(_arguments(call))}}] for call in calls
            ]
    raise AssertionError(style)


STYLES = (
    "whole", "whole at once", "fragments", "interleaved", "no index", "id in every fragment", "all have index 0",
    "no index, no id", "arguments as an object",
)  # fmt: skip


def _arguments(call: dict[str, Any]) -> str:
    text: str = call["function"]["arguments"]
    return text


def _usage(finish: Finish) -> dict[str, Any]:
    usage = finish.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "prompt_tokens_details": {"image_tokens": usage.picture_tokens},
    }


def _options(asked: dict[str, Any], fault: Fault) -> Options:
    most = asked.get("max_tokens") or asked["max_completion_tokens"]
    stop = () if fault.deaf else tuple(asked.get("stop", ()))
    return Options(most, asked["temperature"], asked["top_p"], stop, asked.get("seed"))


def _tools(asked: dict[str, Any]) -> list[Tool]:
    functions = [each["function"] for each in asked.get("tools", ())]
    return [Tool(each["name"], each["description"], each["parameters"]) for each in functions]


async def _respond(send: Any, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    raw = [(b"content-type", kind.encode())] + [(n.encode(), v.encode()) for n, v in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": data})


async def _write(send: Any, data: bytes, piece: int | None) -> None:
    for at in range(0, len(data), piece or len(data)):
        await send({"type": "http.response.body", "body": data[at : at + (piece or len(data))], "more_body": True})
        if piece:
            await asyncio.sleep(0)  # a packet of its own


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
