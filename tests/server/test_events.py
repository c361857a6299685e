"""The bytes of a stream, and the receipts."""

import json
from typing import Any

import httpx
import pytest

from isthmus.backends.backend import Delta, Finish, Reason, Stream, Usage
from isthmus.stopwatch import part

from .serving import NAME, Served, served

HELLO: dict[str, Any] = {"model": NAME, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


def events(here: Served, **more: Any) -> list[Any]:
    answer = httpx.post(f"{here.address}v1/chat/completions", json=HELLO | {"stream": True} | more, headers=here.auth)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.endswith("\n\n")
    *parts, done = answer.text[:-2].split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(each.removeprefix("data: ")) for each in parts]


def test_role_then_pieces_then_the_end(scripted: Served) -> None:
    chunks = events(scripted)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[-1] == {}
    assert all(set(delta) == {"content"} for delta in deltas[1:-1])
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["length"]
    assert not any("usage" in chunk or "isthmus" in chunk for chunk in chunks)
    with_usage = events(scripted, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in with_usage[:-1]] == [None] * (len(with_usage) - 1)
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["total_tokens"] == 9


@pytest.mark.parametrize("usage", [False, True])
def test_a_receipt_is_in_the_last_chunk_where_it_is_asked_for(scripted: Served, usage: bool) -> None:
    *chunks, last = events(scripted, isthmus={"receipt": True}, stream_options={"include_usage": usage})
    receipt = last["isthmus"]["receipt"]
    assert {"queue", "decode"} <= set(receipt["parts"])
    assert receipt["total"] == pytest.approx(sum(receipt["parts"].values()) + receipt["unattributed"], abs=1e-5)
    assert all(taken >= 0 for taken in receipt["parts"].values())
    assert receipt["unattributed"] >= 0
    assert not any("isthmus" in chunk for chunk in chunks)
    whole = httpx.post(
        f"{scripted.address}v1/chat/completions", json=HELLO | {"isthmus": {"receipt": True}}, headers=scripted.auth
    ).json()
    assert set(whole["isthmus"]["receipt"]) == {"parts", "unattributed", "total"}


class Says:
    """A few pieces, and how it ends."""

    name = NAME

    def __init__(self, pieces: list[str], reason: Reason) -> None:
        self.pieces, self.reason = pieces, reason

    def stream(self, messages: Any, *, tools: Any = None, options: Any) -> Stream:  # noqa: ARG002
        with part("encoder"), part("connector"):
            pass
        for piece in self.pieces:
            yield Delta(piece)
            with part("sample"):  # of the second token: no part of the way to the first
                pass
        yield Delta(finish=Finish(self.reason, Usage(1, None, len(self.pieces))))


def test_parts_are_the_backend_s_up_to_its_first_text() -> None:
    with served(Says(["a", "b"], "stop")) as here:
        receipt = events(here, isthmus={"receipt": True})[-1]["isthmus"]["receipt"]
        assert set(receipt["parts"]) == {"queue", "decode", "encoder", "connector"}


def test_an_answer_without_words_is_an_answer() -> None:
    with served(Says([], "stop")) as here:
        first, last = events(here, isthmus={"receipt": True})
        assert first["choices"][0]["delta"]["content"] == ""
        assert last["choices"][0]["finish_reason"] == "stop"
        whole = httpx.post(f"{here.address}v1/chat/completions", json=HELLO, headers=here.auth).json()
        assert whole["choices"][0]["message"]["content"] == ""


def test_one_that_was_cancelled_is_said_to_be_cut_short() -> None:
    with served(Says(["a"], "cancelled")) as here:
        *_, last = events(here)
        assert last["choices"][0]["finish_reason"] == "length"
        assert last["isthmus"] == {"ended": "cancelled"}


def test_any_text_comes_through_unchanged() -> None:
    pieces = ["<script>", "\n\ndata: [DONE]\n\n", "\u2028\x00\x7f", "汉字🙂", '"\\']
    with served(Says(pieces, "stop")) as here:
        client = here.client()
        stream = client.chat.completions.create(model=NAME, messages=HELLO["messages"], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "".join(pieces)
        whole = client.chat.completions.create(model=NAME, messages=HELLO["messages"])
        assert whole.choices[0].message.content == "".join(pieces)
