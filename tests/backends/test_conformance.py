"""The implementations keep every promise of the protocol, and the checks of these promises can fail."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from isthmus.backends.backend import Delta, Options, ToolCall
from isthmus.backends.transformers import TransformersBackend
from isthmus.messages import Message, user
from tests.backends import conformance, scripted
from tests.backends.conformance import CHECKS, Subject
from tests.backends.scripted import Broken, Careless, Scripted, Toolless, with_finish, without_pictures

Check = Callable[[Subject], None]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("model", ["qwen2-vl", "llava", "text only"])
def test_transformers(backend: Callable[[str], TransformersBackend], model: str, check: Check) -> None:
    subject = backend(model)
    steps: list[int] = []
    hook = subject.model.register_forward_hook(lambda *_: steps.append(1))
    try:
        check(Subject(subject, sees=model != "text only", steps=lambda: len(steps)))
    finally:
        hook.remove()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scripted(check: Check) -> None:
    check(_subject(Scripted()))


def _forgetful(messages: Sequence[Message], options: Options) -> tuple[Sequence[Message], Options]:
    return [user(message.text or "?") for message in messages], options


BROKEN: dict[str, tuple[Scripted, Check]] = {
    "says twice that it ended": (Broken(change=lambda d: [*d, d[-1]]), conformance.deltas_come_in_order),
    "text beside the finish": (
        Broken(change=lambda d: [*d[:-2], replace(d[-1], text=d[-2].text)]),
        conformance.deltas_come_in_order,
    ),
    "empty piece": (Broken(change=lambda d: [Delta(), *d]), conformance.deltas_come_in_order),
    "all at once": (
        Broken(change=lambda d: [Delta("".join(each.text for each in d)), d[-1]]),
        conformance.the_text_comes_while_it_is_made,
    ),
    "another text each time": (
        Careless(ask=lambda m, o: (m, replace(o, temperature=1.0))),
        conformance.the_joined_stream_is_the_whole_text,
    ),
    "does not say length": (
        Broken(change=lambda d: with_finish(d, reason="stop")),
        conformance.max_tokens_ends_with_length,
    ),
    "one token more": (
        Careless(ask=lambda m, o: (m, replace(o, max_tokens=o.max_tokens + 1))),
        conformance.max_tokens_ends_with_length,
    ),
    "deaf to stop strings": (Careless(ask=lambda m, o: (m, replace(o, stop=()))), conformance.a_stop_string_is_cut),
    "hears half a stop string": (
        Careless(ask=lambda m, o: (m, replace(o, stop=tuple(each[:1] for each in o.stop)))),
        conformance.a_stop_string_is_cut,
    ),
    "loses the end": (
        Broken(change=lambda d: [*d[:-2], d[-1]] if len(d[-2].text) > 1 else d),
        conformance.what_might_have_become_a_stop_string_is_not_lost,
    ),
    "counts no prompt": (
        Broken(change=lambda d: with_finish(d, usage=lambda u: replace(u, prompt_tokens=1))),
        conformance.usage_counts_text,
    ),
    "pictures for free": (
        Broken(change=lambda d: with_finish(d, usage=without_pictures)),
        conformance.usage_counts_pictures,
    ),
    "blind": (Careless(ask=_forgetful), conformance.pictures_matter),
    "deaf to seeds": (Careless(ask=lambda m, o: (m, replace(o, seed=None))), conformance.draws_follow_the_seed),
    "one draw for all": (Careless(ask=lambda m, o: (m, replace(o, seed=0))), conformance.draws_follow_the_seed),
    "works to the end": (Broken(change=list), conformance.closing_ends_the_work),
    "answers nothing": (
        Careless(ask=lambda m, o: (m or [user("?")], o)),
        conformance.what_cannot_be_answered_is_refused,
    ),
    "passes over pictures": (Careless(ask=_forgetful), conformance.a_picture_that_cannot_be_read_is_refused),
    "calls in pieces": (Broken(change=lambda d: _calls(d, _halves)), conformance.calls_come_whole),
    "calls without their names": (
        Broken(change=lambda d: _calls(d, lambda call: [replace(call, id="")])),
        conformance.calls_come_whole,
    ),
    "calls one of two": (
        Broken(change=lambda d: [replace(each, tool_calls=each.tool_calls[:1]) for each in d]),
        conformance.calls_come_whole,
    ),
    "does not wait for its tools": (
        Broken(change=lambda d: with_finish(d, reason="stop")),
        conformance.calls_come_whole,
    ),
    "calls beside the finish": (
        Broken(change=lambda d: [*d[:-2], replace(d[-1], tool_calls=d[-2].tool_calls)]),
        conformance.calls_come_whole,
    ),
    "forgets what tools gave": (
        Careless(ask=lambda m, o: ([each for each in m if each.role == "user"], o)),
        conformance.a_tools_result_is_read,
    ),
    "calls what it has not": (
        Broken(change=lambda d: [Delta(tool_calls=(ToolCall("1", "get_weather", "{}"),)), *d]),
        conformance.without_tools_nothing_is_called,
    ),
}


def _calls(deltas: list[Delta], change: Callable[[ToolCall], list[ToolCall]]) -> list[Delta]:
    return [replace(each, tool_calls=tuple(new for call in each.tool_calls for new in change(call))) for each in deltas]


def _halves(call: ToolCall) -> list[ToolCall]:
    return [replace(call, arguments=call.arguments[:5]), replace(call, arguments=call.arguments[5:])]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_backend_is_found_out(name: str) -> None:
    backend, check = BROKEN[name]
    with pytest.raises(AssertionError):
        check(_subject(backend))


def test_work_before_the_first_delta_is_found_out() -> None:
    class Eager(Scripted):
        def stream(self, *given, **options):  # type: ignore[no-untyped-def]
            self.work.append(1)
            return super().stream(*given, **options)

    with pytest.raises(AssertionError):
        conformance.a_stream_that_is_not_read_costs_nothing(_subject(Eager()))


@pytest.mark.parametrize("kind", [Scripted, Toolless])
def test_using_or_dropping_tools_that_cannot_be_called_is_found_out(kind: type[Scripted]) -> None:
    with pytest.raises(AssertionError):
        conformance.who_cannot_call_tools_refuses_them(replace(_subject(kind()), calls=None))


def _subject(backend: Scripted) -> Subject:
    return Subject(backend, sees=True, steps=lambda: len(backend.work), calls=scripted.CALLS)
