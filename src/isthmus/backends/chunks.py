"""Chunks of a streamed `/v1/chat/completions`, put together: what `wire.request` asks for, read again.

Servers differ in how they cut a tool call, in whether they count tokens and in what they call a reason; what is known
of that is here.
"""

import json
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any
from uuid import uuid4

from isthmus.backends.backend import Delta, Finish, Reason, ToolCall, Usage
from isthmus.errors import IsthmusError
from isthmus.text_stream import StopStrings

REASONS: dict[str, Reason] = {
    "stop": "stop",
    "eos": "stop",  # Together
    "eos_token": "stop",  # Text Generation Inference
    "stop_sequence": "stop",
    "length": "length",
    "model_length": "length",  # Mistral: the context was used up
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "abort": "cancelled",  # vLLM
}
"""Their words for ours. `content_filter` and whatever else is no end of an answer, but a failure."""


class Chunks:
    """One answer, as its chunks come. Raises IsthmusError for what is no chunk."""

    def __init__(self, server: str, stop: Sequence[str] = (), *, pictures: bool = True) -> None:
        """`server`: whose answer it is, for errors. Stop strings are cut here too: some servers pass over them.
        `pictures`: whether any were sent."""
        self.began = False
        """Whether anything of the answer has come: text, a call, thoughts."""
        self.seen = 0
        """Chunks."""
        self._server, self._pictures = server, pictures
        self._stops = StopStrings(stop)
        self._calls = Calls()
        self._reason: str | None = None
        self._usage = Usage(None, None if pictures else 0, None)

    @property
    def stopped(self) -> bool:
        """Whether a stop string was found, so that nothing more is of interest."""
        return self._stops.found

    @property
    def ended(self) -> bool:
        """Whether the server has said why the answer ended; its usage may still come."""
        return self._reason is not None

    def add(self, chunk: Any) -> str:
        """The text that is certain now. Thoughts (`reasoning_content`) are no text."""
        self.seen += 1
        match chunk:
            case {"usage": Mapping() as usage}:
                self._usage = self._read_usage(usage)
        match chunk:
            case {"choices": [Mapping() as choice, *_]}:
                return self._choice(choice)
            case {"choices": [] | None} | {"usage": _}:
                return ""
        raise self._unreadable(chunk)

    def end(self) -> tuple[Delta, ...]:
        """What is still to be given when no chunk comes any more: text that was held back, the calls, the finish.

        Raises IsthmusError where the answer broke off, or ended for a reason that is none of ours."""
        if self.stopped:
            return (Delta(finish=Finish("stop", self._usage)),)
        reason = self._read_reason()
        text = self._stops.end()
        calls: tuple[ToolCall, ...] = ()
        if reason in ("stop", "tool_calls"):  # where the length cut it, the last call is not whole
            calls = self._calls.whole()
            reason = "tool_calls" if calls else "stop"
        given = (Delta(text),) if text else ()
        called = (Delta(tool_calls=calls),) if calls else ()
        return (*given, *called, Delta(finish=Finish(reason, self._usage)))

    def _choice(self, choice: Mapping[str, Any]) -> str:
        if (reason := choice.get("finish_reason")) is not None:
            self._reason = str(reason)
        delta = choice.get("delta")
        if delta is None:
            return ""
        if not isinstance(delta, Mapping):
            raise self._unreadable(choice)
        fragments = delta.get("tool_calls") or []
        if not isinstance(fragments, list):
            raise self._unreadable(delta)
        for fragment in fragments:
            if not self._calls.add(fragment):
                raise self._unreadable(fragment)
            self.began = True
        if delta.get("reasoning_content") or delta.get("reasoning"):
            self.began = True
        text = delta.get("content") or delta.get("refusal") or ""
        if not isinstance(text, str):
            raise self._unreadable(delta)
        self.began = self.began or bool(text)
        return self._stops.add(text)

    def _read_reason(self) -> Reason:
        if self._reason is None and self.seen == 0:
            raise IsthmusError(f"{self._server} sent no stream", todo="is the path right? Most end in /v1")
        if self._reason is None:
            raise IsthmusError(
                f"{self._server} broke off", why="the answer ended without a finish_reason", todo="ask again"
            )
        if self._reason == "content_filter":
            why = "its content filter stopped it"
            raise IsthmusError(f"{self._server} broke off its answer", why=why, todo="ask in other words")
        if self._reason not in REASONS:
            raise IsthmusError(f"{self._server} ended its answer for a reason unknown here", why=self._reason[:100])
        return REASONS[self._reason]

    def _read_usage(self, usage: Mapping[str, Any]) -> Usage:
        details = usage.get("prompt_tokens_details")
        told = details if isinstance(details, Mapping) else {}
        pictures = _count(told.get("image_tokens"))
        if pictures is None and not self._pictures:
            pictures = 0
        prompt, written = (_count(usage.get(each)) for each in ("prompt_tokens", "completion_tokens"))
        return Usage(prompt, pictures, written, _count(told.get("cached_tokens")))

    def _unreadable(self, what: Any) -> IsthmusError:
        shape = f"an object with {', '.join(map(str, what))}" if isinstance(what, Mapping) else type(what).__name__
        return IsthmusError(f"{self._server} sent what cannot be read", why=shorten(shape, 200))


class Calls:
    """Tool calls from their fragments.

    The API numbers the calls and gives id and name with the first fragment of each. Servers also leave the number out,
    give every call the number 0, repeat id and name, send a call whole, write its arguments as an object, give no id.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_number: dict[int, _Call] = {}

    def add(self, fragment: Any) -> bool:
        """Whether it could be read."""
        if not isinstance(fragment, Mapping):
            return False
        function = fragment.get("function") or {}
        if not isinstance(function, Mapping):
            return False
        number, id_ = fragment.get("index"), fragment.get("id") or ""
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        if isinstance(arguments, Mapping):
            arguments = json.dumps(arguments)
        if not (isinstance(id_, str) and isinstance(name, str) and isinstance(arguments, str)):
            return False
        call = self._find(number, id_, name)
        if call is None:
            return False
        call.id = call.id or id_
        call.name += name if call.name != name else ""
        call.arguments += arguments
        return True

    def whole(self) -> tuple[ToolCall, ...]:
        """A call of a function without parameters may have no arguments; an id is made where the server gave none."""
        return tuple(
            ToolCall(call.id or f"call_{uuid4().hex[:24]}", call.name, call.arguments.strip() or "{}")
            for call in self._calls
        )

    def _find(self, number: Any, id_: str, name: str) -> "_Call | None":
        """The call that a fragment belongs to, a new one where it begins one."""
        if isinstance(number, int):
            found = self._by_number.get(number)
            if found is None or (id_ and found.id and id_ != found.id):
                found = self._by_number[number] = self._new()
            return found
        known = [call for call in self._calls if call.id == id_] if id_ else []
        if known:
            return known[0]
        if id_ or name:
            return self._new()
        return self._calls[-1] if self._calls else None

    def _new(self) -> "_Call":
        self._calls.append(_Call())
        return self._calls[-1]


class _Call:
    def __init__(self) -> None:
        self.id = self.name = self.arguments = ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
