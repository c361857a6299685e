"""Who waits, who is sent away, and whose slot is free when: counted, over real sockets."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import openai
import pytest

from isthmus.backends.backend import Delta, Finish, Options, Stream, Usage
from isthmus.server import answer, app
from isthmus.server.question import Question, read_question
from isthmus.server.settings import Limits, Settings

from .serving import NAME, PATIENCE, Held, Served, served

HELLO = [{"role": "user", "content": "hello"}]
MANY = 100_000


def begun(here: Served, question: str, **more: Any) -> socket.socket:
    """A connection that has asked for a stream, and reads nothing yet."""
    messages = [{"role": "user", "content": question}]
    body = json.dumps({"model": NAME, "messages": messages, "stream": True, "max_tokens": MANY} | more).encode()
    host, port = here.address.removeprefix("http://").rstrip("/").split(":")
    made = socket.create_connection((host, int(port)), PATIENCE)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {here.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    made.sendall(head.encode() + body)
    return made


def until_it_says(connection: socket.socket, what: bytes) -> bytes:
    read = b""
    while what not in read:
        part = connection.recv(65_536)
        assert part, read
        read += part
    return read


def counts(here: Served) -> tuple[int, int]:
    """Slots taken, requests waiting; as /health says, which asks for no token."""
    told = httpx.get(here.address + "health", timeout=PATIENCE).json()
    return told["answering"], told["waiting"]


@contextmanager
def many(here: Served, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(begun(here, str(at))) for at in range(count)]


def test_slots_are_taken_the_queue_fills_and_the_next_is_sent_away(held: tuple[Served, Held]) -> None:
    here, backend = held
    with many(here, 4):
        here.until(lambda: (here.engine.admission.busy, here.engine.admission.waiting) == (2, 2))
        assert counts(here) == (2, 2)
        assert httpx.get(here.address + "health").json()["status"] == "busy"
        with pytest.raises(openai.RateLimitError) as caught:
            here.client().chat.completions.create(model=NAME, messages=HELLO)  # type: ignore[arg-type]
        assert caught.value.response.headers["retry-after"].isdigit()
        assert backend.opened == 2
    ends(held, leaving=2)
    assert backend.most_open == 2
    assert cancelled(here, "waiting") == 2


def ends(held: tuple[Served, Held], leaving: int) -> None:
    """Once the server knows that so many have left, the step that each stream is in is its last."""
    here, backend = held
    here.until(lambda: cancelled(here, "answering") == leaving)
    backend.permit(1)
    here.until(lambda: counts_of(here) == (0, 0))


def counts_of(here: Served) -> tuple[int, int]:
    return here.engine.admission.busy, here.engine.admission.waiting


def test_whoever_leaves_the_queue_is_never_answered(held: tuple[Served, Held]) -> None:
    here, backend = held
    with many(here, 2) as inside:
        here.until(lambda: counts_of(here) == (2, 0))
        leaver = begun(here, "I leave")
        here.until(lambda: counts_of(here) == (2, 1))
        stayer = begun(here, "I stay", max_tokens=1)
        here.until(lambda: counts_of(here) == (2, 2))
        leaver.close()
        here.until(lambda: counts_of(here) == (2, 1))
        inside[0].close()
        here.until(lambda: cancelled(here, "answering") == 1)
        backend.permit(1, "0")  # the step it is in
        backend.permit(1, "I stay")
        until_it_says(stayer, b"[DONE]")
        stayer.close()
    ends(held, leaving=2)
    assert sorted(messages[0].text for messages in backend.asked) == ["0", "1", "I stay"]
    assert cancelled(here, "waiting") == 1


def test_whoever_leaves_a_stream_gives_the_slot_to_the_next_at_once(held: tuple[Served, Held]) -> None:
    here, backend = held
    with many(here, 2) as inside:
        backend.permit(1)
        for connection in inside:
            until_it_says(connection, b'"content":"a"')
        next_one = begun(here, "next")
        here.until(lambda: counts_of(here) == (2, 1))
        assert (backend.opened, backend.closed) == (2, 0)
        inside[0].close()
        here.until(lambda: cancelled(here, "answering") == 1)
        backend.permit(1, "0")  # the step it is in
        until_it_says(next_one, b'"content":"a"')
        assert (backend.opened, backend.closed, backend.said["1"]) == (3, 1, 1)
        next_one.close()
    ends(held, leaving=3)
    assert backend.opened == backend.closed == 3
    assert backend.said["0"] == 2  # not one more than the step it was in


def test_whoever_leaves_a_whole_answer_ends_it_too(held: tuple[Served, Held]) -> None:
    here, backend = held
    with begun(here, "all", stream=False):
        backend.permit(3)
        backend.until(lambda held: held.said["all"] == 3)
    ends(held, leaving=1)
    assert (backend.closed, backend.said["all"]) == (1, 4)


def test_the_client_s_close_ends_the_answer(held: tuple[Served, Held]) -> None:
    here, backend = held
    backend.permit(1)
    stream = here.client().chat.completions.create(model=NAME, messages=HELLO, stream=True, max_tokens=MANY)  # type: ignore[call-overload]
    pieces = iter(stream)
    assert [next(pieces).choices[0].delta.content for _ in range(2)] == ["", "a"]
    stream.close()
    ends(held, leaving=1)


def cancelled(here: Served, when: str) -> float:
    return here.engine.metrics.registry.get_sample_value("isthmus_cancelled_total", {"when": when}) or 0


class Flood:
    """Says ever more, as fast as it can."""

    name = NAME

    def __init__(self) -> None:
        self.over = threading.Event()

    def stream(self, messages: Sequence[Any], *, tools: Any = None, options: Options) -> Stream:  # noqa: ARG002
        try:
            if messages[0].text == "hello":
                while True:
                    yield Delta("a" * 1000)
            yield Delta("a")
            yield Delta(finish=Finish("stop", Usage(1, 0, 1)))
        finally:
            if messages[0].text == "hello":
                self.over.set()


def test_who_does_not_read_holds_up_nobody_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Flood()
    monkeypatch.setattr(answer, "MOST_UNREAD", 20_000_000)
    with served(backend, Settings(slots=2)) as here, begun(here, "hello"):
        here.until(lambda: here.engine.admission.busy == 1)
        for _ in range(5):
            told = here.client().chat.completions.create(model=NAME, messages=[{"role": "user", "content": "x"}])
            assert told.choices[0].message.content == "a"
        assert backend.over.wait(PATIENCE)
        here.until(lambda: here.engine.admission.busy == 0)


@pytest.mark.parametrize("content", ["a" * 20_000, [{"type": "image_url", "image_url": {"url": "data:image/png;,"}}]])
def test_others_are_answered_while_a_body_is_read(
    held: tuple[Served, Held], monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    here, _ = held
    reading, answered = threading.Event(), threading.Event()

    def slowly(body: bytes, limits: Limits) -> Question:
        reading.set()
        assert answered.wait(PATIENCE)
        return read_question(body, limits)

    monkeypatch.setattr(app, "read_question", slowly)
    with begun(here, "", messages=[{"role": "user", "content": content}]):
        assert reading.wait(PATIENCE)
        assert httpx.get(here.address + "health", timeout=PATIENCE).status_code == 200
        assert httpx.get(here.address + "v1/models", headers=here.auth, timeout=PATIENCE).status_code == 200
        answered.set()


def test_the_queue_is_a_part_of_the_receipt(held: tuple[Served, Held]) -> None:
    here, _ = held
    with many(here, 2):
        here.until(lambda: counts_of(here) == (2, 0))
        last = begun(here, "last", max_tokens=1, isthmus={"receipt": True})
        here.until(lambda: counts_of(here) == (2, 1))
    ends(held, leaving=2)
    events = until_it_says(last, b"[DONE]")
    last.close()
    ending = next(line for line in events.splitlines() if b'"receipt"' in line)
    receipt = json.loads(ending.removeprefix(b"data: "))["isthmus"]["receipt"]
    assert set(receipt["parts"]) == {"queue", "decode", "prefill"}
    assert receipt["total"] == pytest.approx(sum(receipt["parts"].values()) + receipt["unattributed"], abs=1e-5)
    assert receipt["parts"]["queue"] > receipt["parts"]["decode"]


def test_loading_is_said_and_nothing_is_answered_before() -> None:
    with served(None) as here:
        told = httpx.get(here.address + "health")
        assert (told.status_code, told.json()["status"]) == (503, "loading")
        with pytest.raises(openai.InternalServerError) as caught:
            here.client().chat.completions.create(model=NAME, messages=HELLO)  # type: ignore[arg-type]
        assert (caught.value.status_code, caught.value.code) == (503, "loading")
        assert caught.value.response.headers["retry-after"].isdigit()
        here.engine.backend = Flood()
        assert httpx.get(here.address + "health").json()["status"] == "ready"


def test_metrics_tell_what_happened(held: tuple[Served, Held]) -> None:
    here, backend = held
    backend.permit(3)
    here.client().chat.completions.create(model=NAME, messages=HELLO, max_tokens=3)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError):
        here.client().chat.completions.create(model=NAME, messages=HELLO, n=2)  # type: ignore[arg-type]
    assert httpx.get(here.address + "metrics").status_code == 401
    text = httpx.get(here.address + "metrics", headers=here.auth).text
    for line in (
        'isthmus_requests_total{route="/v1/chat/completions",status="200"} 1.0',
        'isthmus_requests_total{route="/v1/chat/completions",status="400"} 1.0',
        'isthmus_rejected_total{code="unsupported_value"} 1.0',
        'isthmus_tokens_total{kind="completion"} 3.0',
        "isthmus_time_to_first_text_seconds_count 1.0",
        'isthmus_part_seconds_count{part="prefill"} 1.0',
        "isthmus_tokens_per_second_count 1.0",
        "isthmus_slots 2.0",
        "isthmus_answering 0.0",
        "isthmus_waiting 0.0",
    ):
        assert line in text.splitlines(), line
    with served(backend, Settings(open_metrics=True)) as open_:
        assert httpx.get(open_.address + "metrics").status_code == 200
