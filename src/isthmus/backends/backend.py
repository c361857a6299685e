"""Backend: whatever answers a conversation, here or at the other end of a wire. Assistants know nothing else.

A stream is a generator of Deltas: pieces of text, then one last Delta that says why it ended and what it cost.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from isthmus.errors import InputError
from isthmus.messages import Message
from isthmus.messages import ToolCall as ToolCall
from isthmus.options import Options as Options

Reason: TypeAlias = Literal["stop", "length", "cancelled", "tool_calls"]
"""Why an answer ended: the model or a stop string ended it; `max_tokens` or the context was used up; the backend was
told to end it by someone other than the stream's reader; the model waits for its tools."""


@dataclass(frozen=True)
class Tool:
    """A function the model may ask for. `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. `prompt_tokens` counts text and pictures, `completion_tokens` the end token too.

    None: not known, where a server does not count them or was cut off before it said.
    """

    prompt_tokens: int | None
    picture_tokens: int | None
    """Those of the prompt that stand for pictures."""
    completion_tokens: int | None
    cached_tokens: int | None = field(default=None, compare=False)
    """Those of the prompt that had been read for an answer before: of an answer's cost, and not of what it is."""


@dataclass(frozen=True)
class Finish:
    reason: Reason
    usage: Usage


@dataclass(frozen=True)
class Delta:
    """One piece of an answer: text, tool calls, or (the last one, and only that) `finish`."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None


@dataclass(frozen=True)
class Reply:
    """A whole answer, and which model gave it. Two with other times alone are equal."""

    text: str
    reason: Reason
    usage: Usage
    model: str
    tool_calls: tuple[ToolCall, ...] = ()
    seconds_to_first: float = field(default=0.0, compare=False)
    """From the asking to the first piece: pictures opened and read, the prompt read, one token made."""

    def __str__(self) -> str:
        return self.text


Stream: TypeAlias = Generator[Delta, None, None]


class Backend(Protocol):
    """A model that answers. Safe to use from several threads; whether answers are made side by side is its affair."""

    @property
    def name(self) -> str:
        """Which model speaks, as its user named it."""

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        """The answer to `messages`, piece by piece; no piece is empty, the last one alone has `finish`.

        Nothing is done before the first Delta is asked for. Closing the generator (also by letting go of it) ends the
        work and frees its memory before `close` returns. Raises an IsthmusError, with the first Delta or with the one
        at which the work failed: InputError for messages, options or tools it cannot use, PictureError for a picture.
        """


def complete(
    backend: Backend, messages: Sequence[Message], options: Options, *, tools: Sequence[Tool] | None = None
) -> Reply:
    """The whole answer at once. Raises as `stream`."""
    return whole(backend.stream(messages, tools=tools, options=options), backend.name)


def whole(stream: Stream, model: str) -> Reply:
    """A stream of the backend named `model`, read to its end. Raises as the stream."""
    started = time.perf_counter()
    pieces: list[str] = []
    calls: list[ToolCall] = []
    finish: Finish | None = None
    first: float | None = None
    for delta in stream:
        if first is None:
            first = time.perf_counter() - started
        pieces.append(delta.text)
        calls += delta.tool_calls
        finish = delta.finish
    if finish is None or first is None:
        raise AssertionError(f"the backend {model} ended without saying why")
    return Reply("".join(pieces), finish.reason, finish.usage, model, tuple(calls), first)


def check_messages(messages: Sequence[Message]) -> None:
    """For implementations: raises InputError unless there is something to answer."""
    if not messages:
        raise InputError("there are no messages to answer", todo="give at least one message of a user")
    for at, message in enumerate(messages):
        if not (message.content or message.tool_calls):
            raise InputError(f"message {at} is empty", todo="give it a text or a picture")
    if messages[-1].role not in ("user", "tool"):
        raise InputError(f"the last message is of the role {messages[-1].role}", todo="end with a message of a user")


def check_abilities(
    name: str, tools: Sequence[Tool] | None, options: Options, messages: Sequence[Message] = ()
) -> None:
    """For implementations that can neither call tools nor keep to JSON: raises InputError where they are asked to."""
    if tools or any(message.tool_calls for message in messages):
        raise InputError(
            f"{name} is asked to use tools", why="this backend reads no calls", todo="ask a backend that calls tools"
        )
    if options.json is not False:
        raise InputError(
            f"{name} is asked for JSON", why="this backend cannot keep a model to it", todo="say so in the prompt"
        )
