"""An answer in the OpenAI API's words: all at once, or as events while it is made."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from isthmus.backends.backend import Delta, Finish, Usage
from isthmus.errors import InputError
from isthmus.messages import ToolCall
from isthmus.server.answer import Answer
from isthmus.server.engine import Engine
from isthmus.server.leaving import Gone
from isthmus.server.problems import Refused, mistake, of_input, stopping
from isthmus.server.question import Question
from isthmus.stopwatch import Watch

STALLED = 60
"""Seconds in which a client takes nothing that is sent to it, before it is let go."""

HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # proxies that would collect events
]
DONE = b"data: [DONE]\n\n"

_log = logging.getLogger(__name__)


class Telling(Response):
    """Waits for a slot, and for the first words: until then a refusal has its status. Raises Refused."""

    def __init__(self, engine: Engine, question: Question, watch: Watch, arrived: float) -> None:
        """`arrived`: when the request's last byte did."""
        super().__init__()
        self._engine, self._question, self._watch, self._arrived = engine, question, watch, arrived
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": engine.names[0],
            "system_fingerprint": None,
        }
        self._calls = 0
        self._told: float | None = None
        """When the first text was handed to the socket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics, answer = self._engine.metrics, None
        try:
            async with self._engine.answering(self._question, self._watch, receive) as answer:
                first = await self._take(answer, scope)
                if not first:
                    raise stopping()
                if self._question.stream:
                    await self._stream(answer, first, scope, send)
                else:
                    await (await self._whole(answer, first, scope))(scope, receive, send)
        except (Gone, TimeoutError):
            metrics.cancelled.labels("waiting" if answer is None else "answering").inc()
        if answer is not None and answer.first is not None:
            metrics.note_first(self._watch, (self._told or answer.first) - self._arrived)
            if answer.finish is not None:
                metrics.note_finish(answer.finish.usage, time.perf_counter() - answer.first)

    async def _take(self, answer: Answer, scope: Scope) -> list[Delta]:
        """Raises Refused for what the backend refuses or breaks at, Gone where nobody listens."""
        try:
            deltas = await answer.take()
        except InputError as error:
            refused = of_input(error)
            # The backend's own name may be a path, which is nobody's affair.
            refused.message = refused.message.replace(answer.model, self._engine.names[0])
            raise refused from None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged, and costs this answer only
            request_id = scope["isthmus.request"]
            _log.error("request %s failed", request_id, exc_info=error)
            raise mistake(request_id) from None
        if answer.ended == "gone":
            raise Gone
        if answer.ended == "slow" and not deltas:
            raise Refused(400, "the answer came faster than it was read", code="slow_reader")
        return deltas

    async def _whole(self, answer: Answer, deltas: list[Delta], scope: Scope) -> Response:
        texts: list[str] = []
        calls: list[ToolCall] = []
        finish: Finish | None = None
        while deltas:
            for delta in deltas:
                texts.append(delta.text)
                calls += delta.tool_calls
                finish = delta.finish
            deltas = [] if finish else await self._take(answer, scope)
        message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None, "refusal": None}
        if calls:
            message["tool_calls"] = [_call(each) for each in calls]
        else:
            message["content"] = "".join(texts)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(finish)}
        answered = {**self._head, "object": "chat.completion", "choices": [choice]}
        if finish is not None:
            answered["usage"] = _usage(finish.usage)
        return JSONResponse(answered | self._ours(answer, finish))

    async def _stream(self, answer: Answer, deltas: list[Delta], scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        await self._send(send, chain(self._piece({"role": "assistant", "content": ""}), self._pieces(deltas)))
        self._told = time.perf_counter()
        finish = deltas[-1].finish if deltas else None
        try:
            while finish is None and (deltas := await self._take(answer, scope)):
                await self._send(send, self._pieces(deltas))
                finish = deltas[-1].finish
        except Refused as refused:  # too late for a status
            self._engine.metrics.rejected.labels(refused.code).inc()
            await self._send(send, [_event(refused.body())], last=True)
            return
        await self._send(send, self._ending(answer, finish), last=True)

    async def _send(self, send: Send, events: Iterable[bytes], *, last: bool = False) -> None:
        async with asyncio.timeout(STALLED):
            await send({"type": "http.response.body", "body": b"".join(events), "more_body": not last})

    def _pieces(self, deltas: list[Delta]) -> Iterator[bytes]:
        for delta in deltas:
            if delta.text:
                yield from self._piece({"content": delta.text})
            for call in delta.tool_calls:
                yield from self._piece({"tool_calls": [{"index": self._calls, **_call(call)}]})
                self._calls += 1

    def _piece(self, delta: dict[str, Any], reason: str | None = None, **more: Any) -> Iterator[bytes]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if self._question.usage else {}
        yield _event({**self._head, "object": "chat.completion.chunk", "choices": [choice], **usage, **more})

    def _ending(self, answer: Answer, finish: Finish | None) -> Iterator[bytes]:
        ours = self._ours(answer, finish)
        apart = self._question.usage and finish is not None
        yield from self._piece({}, _reason(finish), **({} if apart else ours))
        if apart:
            assert finish is not None
            chunk = {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(finish.usage)}
            yield _event(chunk | ours)
        yield DONE

    def _ours(self, answer: Answer, finish: Finish | None) -> dict[str, Any]:
        """What the OpenAI API does not know, if there is any."""
        ours: dict[str, Any] = {}
        if finish is None or finish.reason == "cancelled":
            ours["ended"] = "stopping" if finish is None else "cancelled"
        if self._question.receipt:
            first = self._told or answer.first or time.perf_counter()
            ours["receipt"] = _receipt(self._watch, first - self._arrived)
        return {"isthmus": ours} if ours else {}


def _receipt(watch: Watch, total: float) -> dict[str, Any]:
    parts = {part: round(taken, 6) for part, taken in watch.seconds.items()}
    return {"parts": parts, "unattributed": round(total - sum(parts.values()), 6), "total": round(total, 6)}


def _reason(finish: Finish | None) -> str:
    """Answers that were cut short by us are said to be too long, the one word for it that every client knows."""
    return "length" if finish is None or finish.reason == "cancelled" else finish.reason


def _usage(usage: Usage) -> dict[str, Any] | None:
    """None where the backend, a server of its own, did not count."""
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    counted: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
    details = {"image_tokens": usage.picture_tokens, "cached_tokens": usage.cached_tokens}
    if known := {name: count for name, count in details.items() if count is not None}:
        counted["prompt_tokens_details"] = known
    return counted


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
