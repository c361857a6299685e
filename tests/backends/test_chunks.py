"""An answer put together from chunks is the same however it was cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.backends.backend import Delta, ToolCall
from isthmus.backends.chunks import Chunks
from isthmus.errors import IsthmusError
from tests.backends.served import chunk

CALLS = st.lists(st.tuples(st.sampled_from(["a", "look", "get_time"]), st.text(min_size=1)), min_size=1, max_size=4)


def read(chunks: list[Any], stop: tuple[str, ...] = ()) -> list[Delta]:
    answer = Chunks("the server", stop)
    pieces = [Delta(text) for each in chunks if (text := answer.add(each))]
    return [*pieces, *answer.end()]


@given(st.lists(st.text(max_size=5)), st.lists(st.text(min_size=1, max_size=3), max_size=2))
def test_text_in_any_pieces_is_the_text_up_to_a_stop_string(pieces: list[str], stops: list[str]) -> None:
    whole = "".join(pieces)
    *given_, last = read([*map(chunk, pieces), chunk(reason="length")], tuple(stops))
    ends = [(whole.find(stop) + len(stop), whole.find(stop)) for stop in stops if stop in whole]
    assert "".join(each.text for each in given_) == (whole[: min(ends)[1]] if ends else whole)
    assert all(each.text for each in given_)
    assert last.finish is not None
    assert last.finish.reason == ("stop" if ends else "length")


@given(CALLS, st.randoms())
def test_fragments_of_calls_in_any_order_are_the_calls(calls: list[tuple[str, str]], random: Any) -> None:
    """Those of one call keep theirs."""
    waiting: list[list[dict[str, Any]]] = []
    for at, (name, arguments) in enumerate(calls):
        cuts = sorted(random.sample(range(len(arguments) + 1), min(2, len(arguments))))
        texts = [arguments[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        begun = {"index": at, "id": f"call {at}", "function": {"name": name, "arguments": texts[0]}}
        waiting.append([begun, *({"index": at, "function": {"arguments": text}} for text in texts[1:])])
    begins = [fragments.pop(0) for fragments in waiting]  # numbers come in their order
    sent = [chunk(tool_calls=[each]) for each in begins]
    while any(waiting):
        sent.append(chunk(tool_calls=[random.choice([each for each in waiting if each]).pop(0)]))
    called, last = read([*sent, chunk(reason="tool_calls")])
    expected = [ToolCall(f"call {at}", name, text.strip() or "{}") for at, (name, text) in enumerate(calls)]
    assert list(called.tool_calls) == expected
    assert last.finish is not None
    assert last.finish.reason == "tool_calls"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "tool_calls", "function", "index", "id", "usage", "arguments"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON | st.builds(lambda delta: {"choices": [{"delta": delta}]}, JSON), max_size=4))
def test_any_json_is_read_or_refused_in_words(chunks: list[Any]) -> None:
    try:
        *_, last = read(chunks)
    except IsthmusError as error:
        assert "the server" in str(error)
    else:
        assert last.finish is not None


@pytest.mark.parametrize("reason", [None, "tired", "content_filter"])
def test_no_failure_is_a_stop(reason: str | None) -> None:
    with pytest.raises(IsthmusError, match="the server"):
        read([chunk("half an"), chunk(reason=reason)])
