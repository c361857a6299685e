"""What every Backend must do, as checks any implementation can be put through: `for check in CHECKS: check(subject)`.

A check raises AssertionError where the promise is broken. `test_conformance.py` runs them over the implementations
there are, and over broken ones to see that each check can fail.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from isthmus.backends.backend import Backend, Delta, Options, Reply, Tool, ToolCall, complete
from isthmus.errors import InputError, PictureError
from isthmus.messages import Message, TextPart, assistant, system, tool_result, user

LONG = 300
"""Tokens; longer than any check reads."""
PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOLS = (Tool("get_weather", "The weather at a place.", PLACE), Tool("get_time", "The time at a place.", PLACE))


@dataclass(frozen=True)
class Subject:
    """A backend and what the checks need to know of it. Its model must answer greedily with the same text each time."""

    backend: Backend
    sees: bool
    """Whether it takes pictures."""
    steps: Callable[[], int]
    """How much work it has done since it was made, in any unit that grows with each token."""
    question: Message = field(default_factory=lambda: user("what is this?"))
    """One that it answers with at least 40 tokens."""
    calls: Message | None = None
    """One that makes it call each of TOOLS when it has them; None: it cannot call tools."""


def picture(seed: int) -> bytes:
    """A PNG file of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def deltas_come_in_order(subject: Subject) -> None:
    deltas = list(subject.backend.stream([subject.question], options=Options(max_tokens=20)))
    *pieces, last = deltas
    assert pieces
    assert all((piece.text or piece.tool_calls) and piece.finish is None for piece in pieces)
    assert last.finish is not None
    assert last == Delta(finish=last.finish)


def the_text_comes_while_it_is_made(subject: Subject) -> None:
    pieces = list(subject.backend.stream([subject.question], options=Options(max_tokens=40)))
    assert len(pieces) > 10


def the_joined_stream_is_the_whole_text(subject: Subject) -> None:
    options = Options(max_tokens=40)
    streamed = "".join(delta.text for delta in subject.backend.stream([subject.question], options=options))
    assert streamed
    assert streamed == _ask(subject, max_tokens=40).text


def max_tokens_ends_with_length(subject: Subject) -> None:
    whole = _ask(subject, max_tokens=40).text.rstrip("\ufffd")  # the last character may have been cut
    for most in (1, 7, 20):
        reply = _ask(subject, max_tokens=most)
        assert reply.reason == "length"
        assert reply.usage.completion_tokens == most
        assert whole.startswith(reply.text.rstrip("\ufffd"))


def a_stop_string_is_cut(subject: Subject) -> None:
    whole = _ask(subject, max_tokens=40)
    late = len(whole.text) * 3 // 4  # by then its first letter has been said before
    for start, length in ((1, 1), (5, 2), (8, 4), (12, 7), (late, 3)):
        stop = whole.text[start : start + length]
        reply = _ask(subject, max_tokens=40, stop=(stop, "never said by it"))
        assert reply.text == whole.text[: whole.text.find(stop)]
        assert reply.reason == "stop"
        assert 0 < reply.usage.completion_tokens <= whole.usage.completion_tokens


def what_might_have_become_a_stop_string_is_not_lost(subject: Subject) -> None:
    whole = _ask(subject, max_tokens=20)
    almost = whole.text[-3:] + "\x00"
    assert _ask(subject, max_tokens=20, stop=(almost,)).text == whole.text


def usage_counts_text(subject: Subject) -> None:
    short = _ask(subject, max_tokens=4).usage
    # a long one: some templates have words of their own where there is no system's
    turns = [system("be brief"), user("hello, " * 20), assistant("yes"), subject.question]
    longer = complete(subject.backend, turns, Options(max_tokens=4)).usage
    assert 0 < short.prompt_tokens < longer.prompt_tokens
    assert short.picture_tokens in (0, None)


def usage_counts_pictures(subject: Subject) -> None:
    if not subject.sees:
        return
    none, one, two = (
        complete(subject.backend, [user(*pictures, "what?")], Options(max_tokens=1)).usage
        for pictures in ((), (picture(0),), (picture(0), picture(1)))
    )
    if one.picture_tokens is not None:
        assert one.picture_tokens > 0
        assert two.picture_tokens == 2 * one.picture_tokens
        assert one.prompt_tokens - none.prompt_tokens >= one.picture_tokens
    assert none.prompt_tokens < one.prompt_tokens < two.prompt_tokens


def pictures_matter(subject: Subject) -> None:
    if not subject.sees:
        return
    answers = {
        complete(subject.backend, [user(picture(seed), "what?")], Options(max_tokens=20)).text for seed in range(3)
    }
    assert len(answers) > 1


def draws_follow_the_seed(subject: Subject) -> None:
    def draw(seed: int) -> str:
        return _ask(subject, max_tokens=12, temperature=1.5, seed=seed).text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1


def closing_ends_the_work(subject: Subject) -> None:
    before = subject.steps()
    stream = subject.backend.stream([subject.question], options=Options(max_tokens=LONG))
    next(stream)
    stream.close()
    at_close = subject.steps()
    assert at_close - before < LONG
    assert _ask(subject, max_tokens=5).usage.completion_tokens == 5
    # only the new answer's work was added: at most a step for each token, and one
    assert subject.steps() - at_close <= 6


def a_stream_that_is_not_read_costs_nothing(subject: Subject) -> None:
    before = subject.steps()
    stream = subject.backend.stream([subject.question], options=Options(max_tokens=LONG))
    stream.close()
    assert subject.steps() == before


def two_streams_can_be_read_in_turn(subject: Subject) -> None:
    options = Options(max_tokens=10)
    streams = [subject.backend.stream([subject.question], options=options) for _ in range(2)]
    texts = ["", ""]
    while streams:
        for at, stream in reversed(list(enumerate(streams))):
            delta = next(stream, None)
            if delta is None:
                del streams[at]
            else:
                texts[at] += delta.text
    assert texts[0] == _ask(subject, max_tokens=10).text


def threads_get_their_own_answers(subject: Subject) -> None:
    questions = [user(f"what is {number}?") for number in range(6)]
    alone = [complete(subject.backend, [each], Options(max_tokens=10)) for each in questions]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda each: complete(subject.backend, [each], Options(max_tokens=10)), questions))
    assert alone == together


def what_cannot_be_answered_is_refused(subject: Subject) -> None:
    _refused(subject, [], InputError)
    _refused(subject, [Message("user", ())], InputError)
    _refused(subject, [user("hello"), assistant("hello")], InputError)
    assert _ask(subject, max_tokens=3).usage.completion_tokens == 3


def a_picture_that_cannot_be_read_is_refused(subject: Subject) -> None:
    expected = PictureError if subject.sees else InputError
    _refused(subject, [user(b"no picture at all", "what is this?")], expected)
    _refused(subject, [user(picture(0)[:100], "what is this?")], expected)
    assert _ask(subject, max_tokens=3).usage.completion_tokens == 3


def calls_come_whole(subject: Subject) -> None:
    if subject.calls is None:
        return
    *pieces, last = subject.backend.stream([subject.calls], tools=TOOLS, options=Options())
    calls = [call for piece in pieces for call in piece.tool_calls]
    assert sorted(call.name for call in calls) == sorted(tool.name for tool in TOOLS)
    for call in calls:
        assert isinstance(json.loads(call.arguments)["place"], str)
    assert all(call.id for call in calls)
    assert len({call.id for call in calls}) == len(calls)
    assert all((piece.text or piece.tool_calls) and piece.finish is None for piece in pieces)
    assert last.finish is not None
    assert last == Delta(finish=last.finish)
    assert last.finish.reason == "tool_calls"


def a_tools_result_is_read(subject: Subject) -> None:
    if subject.calls is None:
        return
    asked = complete(subject.backend, [subject.calls], Options(), tools=TOOLS)
    said = Message("assistant", (TextPart(asked.text),) if asked.text else (), asked.tool_calls)

    def told(result: str) -> Reply:
        results = [tool_result(call, result) for call in asked.tool_calls]
        return complete(subject.backend, [subject.calls, said, *results], Options(max_tokens=40), tools=TOOLS)  # type: ignore[list-item]

    sun, rain = told("sunny, noon"), told("it rains, midnight")
    assert sun.reason in ("stop", "length")
    assert sun.text
    assert not sun.tool_calls
    assert sun.text != rain.text


def without_tools_nothing_is_called(subject: Subject) -> None:
    if subject.calls is None:
        return
    reply = complete(subject.backend, [subject.calls], Options(max_tokens=40))
    assert reply.reason in ("stop", "length")
    assert reply.text
    assert not reply.tool_calls


def who_cannot_call_tools_refuses_them(subject: Subject) -> None:
    if subject.calls is not None:
        return
    _refused(subject, [subject.question], InputError, TOOLS)
    called = Message("assistant", (), (ToolCall("1", TOOLS[0].name, "{}"),))
    _refused(subject, [subject.question, called, tool_result(called.tool_calls[0], "sunny")], InputError)
    assert _ask(subject, max_tokens=3).usage.completion_tokens == 3


CHECKS = (
    deltas_come_in_order,
    the_text_comes_while_it_is_made,
    the_joined_stream_is_the_whole_text,
    max_tokens_ends_with_length,
    a_stop_string_is_cut,
    what_might_have_become_a_stop_string_is_not_lost,
    usage_counts_text,
    usage_counts_pictures,
    pictures_matter,
    draws_follow_the_seed,
    closing_ends_the_work,
    a_stream_that_is_not_read_costs_nothing,
    two_streams_can_be_read_in_turn,
    threads_get_their_own_answers,
    what_cannot_be_answered_is_refused,
    a_picture_that_cannot_be_read_is_refused,
    calls_come_whole,
    a_tools_result_is_read,
    without_tools_nothing_is_called,
    who_cannot_call_tools_refuses_them,
)


def _ask(
    subject: Subject,
    *,
    max_tokens: int,
    stop: tuple[str, ...] = (),
    temperature: float = 0.0,
    seed: int | None = None,
) -> Reply:
    options = Options(max_tokens=max_tokens, stop=stop, temperature=temperature, seed=seed)
    return complete(subject.backend, [subject.question], options)


def _refused(
    subject: Subject, messages: list[Message], expected: type[InputError], tools: Sequence[Tool] | None = None
) -> None:
    before = subject.steps()
    try:
        next(subject.backend.stream(messages, tools=tools, options=Options()))
    except expected as error:
        assert len(str(error).splitlines()) == 1
    else:
        raise AssertionError(f"{messages} was answered")
    assert subject.steps() == before
