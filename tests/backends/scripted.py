"""A Backend without a model, whose answer is a function of the question; and broken ones, each in one way."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from zlib import crc32

from isthmus.backends.backend import Delta, Finish, Options, Reason, Stream, Tool, ToolCall, Usage, check_messages
from isthmus.backends.prompt import rgb
from isthmus.messages import Message, user
from isthmus.text_stream import StopStrings

CALLS = user("use get_weather and get_time for Basel")
"""A question that makes it call two tools."""
LETTERS = "abcdefghijklmnopqrstuvwxyz "


@dataclass
class Scripted:
    """One letter a token. `work` counts letters made. A user's message that names tools makes it call each of them."""

    name: str = "scripted"
    work: list[int] = field(default_factory=list)

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        check_messages(messages)
        if messages[-1].role == "user":
            named = [tool for tool in tools or () if tool.name in messages[-1].text]
            if named:
                yield from self._call(named, messages[-1].text)
                return
        pictures = [crc32(rgb(part).tobytes()) for message in messages for part in message.pictures]
        asked = "".join(message.text for message in messages)
        made = Random(f"{asked}{pictures}")
        if options.temperature > 0:
            made = Random(options.seed)
        stops, count = StopStrings(options.stop), 0
        reason: Reason = "length"
        while count < options.max_tokens and not stops.found:
            count += 1
            self.work.append(1)
            if text := stops.add(made.choice(LETTERS)):
                yield Delta(text)
        if stops.found:
            reason = "stop"
        elif text := stops.end():
            yield Delta(text)
        tokens = 7 * len(pictures)
        yield Delta(finish=Finish(reason, Usage(len(asked) + tokens, tokens, count)))

    def _call(self, tools: Sequence[Tool], asked: str) -> Stream:
        self.work.append(1)
        yield Delta("I look. ")
        calls = [ToolCall(f"call {at}", tool.name, json.dumps({"place": asked})) for at, tool in enumerate(tools)]
        yield Delta(tool_calls=tuple(calls))
        yield Delta(finish=Finish("tool_calls", Usage(len(asked), 0, 1)))


Change = Callable[[list[Delta]], list[Delta]]


@dataclass
class Broken(Scripted):
    """Scripted, with the deltas of each answer passed through `change`."""

    change: Change = list

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        yield from self.change(list(super().stream(messages, tools=tools, options=options)))


@dataclass
class Careless(Scripted):
    """Scripted, with the options or messages passed through `ask` before they are used."""

    ask: Callable[[Sequence[Message], Options], tuple[Sequence[Message], Options]] = lambda m, o: (m, o)

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:
        messages, options = self.ask(messages, options)
        yield from super().stream(messages, tools=tools, options=options)


def with_finish(
    deltas: list[Delta], reason: Reason | None = None, usage: Callable[[Usage], Usage] = lambda u: u
) -> list[Delta]:
    *pieces, last = deltas
    assert last.finish is not None
    return [*pieces, Delta(finish=Finish(reason or last.finish.reason, usage(last.finish.usage)))]


def without_pictures(usage: Usage) -> Usage:
    return replace(usage, prompt_tokens=usage.prompt_tokens - (usage.picture_tokens or 0))


@dataclass
class Toolless(Scripted):
    """Scripted, when it is given no tools."""

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:  # noqa: ARG002
        yield from super().stream(messages, options=options)
