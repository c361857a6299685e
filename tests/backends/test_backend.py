"""Options, messages and whole replies."""

from collections.abc import Sequence

import pytest

from isthmus.backends.backend import (
    Backend,
    Delta,
    Finish,
    Options,
    Reply,
    Stream,
    Tool,
    ToolCall,
    Usage,
    check_messages,
    complete,
)
from isthmus.errors import InputError
from isthmus.messages import Message, assistant, system, user


class Fixed:
    """Says what it was given to say."""

    name = "fixed"

    def __init__(self, *deltas: Delta) -> None:
        self.deltas = deltas
        self.tools: Sequence[Tool] | None = None

    def stream(self, messages: Sequence[Message], *, tools: Sequence[Tool] | None = None, options: Options) -> Stream:  # noqa: ARG002
        self.tools = tools
        yield from self.deltas


def test_complete_joins_text_and_tool_calls() -> None:
    call, usage = ToolCall("1", "search", '{"for": "cats"}'), Usage(5, None, 3)
    fixed = Fixed(
        Delta("I will"), Delta(" look."), Delta(tool_calls=(call,)), Delta(finish=Finish("tool_calls", usage))
    )
    backend: Backend = fixed
    tools = [Tool("search", "looks for things", {"type": "object"})]
    assert complete(backend, [user("cats?")], Options(), tools=tools) == Reply(
        "I will look.", "tool_calls", usage, "fixed", (call,)
    )
    assert fixed.tools == tools


def test_complete_does_not_pass_half_an_answer_for_a_whole_one() -> None:
    with pytest.raises(AssertionError, match="without saying why"):
        complete(Fixed(Delta("half an")), [user("?")], Options())


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"stop": ("",)},
        {"stop": "end"},
    ],
)
def test_options_out_of_range_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Options(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "no messages"),
        ([user("a"), Message("assistant", ()), user("b")], "message 1 is empty"),
        ([user("a"), assistant("b")], "role assistant"),
        ([system("a")], "role system"),
    ],
)
def test_messages_without_a_question_are_refused(messages: list[Message], why: str) -> None:
    with pytest.raises(InputError, match=why):
        check_messages(messages)


def test_a_conversation_may_end_with_a_user_or_a_tool() -> None:
    check_messages([system("a"), user("b"), assistant("c"), user("d")])
    check_messages([user("b"), Message("tool", user("42").content)])
