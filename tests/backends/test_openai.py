"""A model at a server: the real client over a real socket, and what servers do wrong."""

import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from isthmus.backends.backend import Delta, Finish, Options, Reply, Usage, complete
from isthmus.backends.openai import OpenAIBackend, Patience
from isthmus.backends.transformers import TransformersBackend
from isthmus.errors import InputError, IsthmusError
from isthmus.evaluation.subject import load_subject
from isthmus.messages import user
from tests.backends import conformance, scripted, served
from tests.backends.conformance import CHECKS, TOOLS, Subject, picture
from tests.backends.scripted import Scripted
from tests.backends.served import MODEL, STYLES, Fault, Served, chunk
from tests.cli.processes import start

QUICK = Patience(connect=20, first=60, between=60, backoff=0.001)
QUESTION = [user("what is this?")]
TEN = Options(max_tokens=10)
KEY = "sk-secret-0123456789"


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served.serve() as server:
        yield server


@pytest.fixture
def server(running: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for variable in ("ISTHMUS_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.delenv(variable, raising=False)
    running.faults, running.asked, running.headers, running.long = [], [], [], None
    running.gone, running.holding = threading.Semaphore(0), threading.Semaphore(0)
    yield running
    running.settled()


def backend(server: Served, patience: Patience = QUICK, model: str = MODEL) -> OpenAIBackend:
    return OpenAIBackend(model, server.url, patience=patience)


def ask(server: Served, *faults: Fault, patience: Patience = QUICK, options: Options = TEN) -> Reply:
    server.faults = list(faults)
    return complete(backend(server, patience), QUESTION, options)


def expected(options: Options = TEN) -> Reply:
    return complete(Scripted(), QUESTION, options)


def refused(server: Served, *faults: Fault, patience: Patience = QUICK, kind: type[IsthmusError] = IsthmusError) -> str:
    with pytest.raises(kind) as raised:
        ask(server, *faults, patience=patience)
    line = str(raised.value)
    assert len(line.splitlines()) == 1
    assert server.url in line
    return line


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_promise_of_a_backend_is_kept(server: Served, check: Callable[[Subject], None]) -> None:
    server.long = 60
    check(Subject(backend(server), sees=True, steps=server.settled, calls=scripted.CALLS))


def test_a_question_arrives_as_it_was_asked_and_the_answer_as_it_was_given(server: Served) -> None:
    asked = [user(picture(0), "what is this?")]
    options = Options(max_tokens=10, temperature=0.7, top_p=0.9, seed=4, stop=("zz",))
    reply = complete(backend(server), asked, options)
    here = complete(Scripted(), asked, options)
    assert reply == replace(here, model=f"openai:{MODEL}@{server.url}")
    assert reply.usage.picture_tokens == 7
    assert server.asked[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(newline="\r\n"),
        Fault(newline="\r"),
        Fault(keep_alive=True),
        Fault(done=False),
        Fault(piece=1),
        Fault(piece=7, newline="\r\n", keep_alive=True),
    ],
    ids=["CRLF", "CR", "keep-alives", "no DONE", "a byte at a time", "all at once"],
)
def test_a_stream_is_read_however_it_is_written(server: Served, fault: Fault) -> None:
    assert ask(server, fault).text == expected().text


def test_characters_that_packets_cut_apart_are_whole(server: Served) -> None:
    text = "一只猫 🐈 naïve"
    pieces = [chunk(each) for each in text]
    server.faults = [Fault(chunks=[*pieces, chunk(reason="stop")], piece=1)]
    assert [delta.text for delta in backend(server).stream(QUESTION, options=TEN)][:-1] == list(text)


def test_thoughts_and_empty_pieces_are_no_text(server: Served) -> None:
    chunks = [
        chunk(role="assistant", content=""), chunk(reasoning_content="hmm"), chunk(reasoning="hm"), chunk(content=None),
        chunk("a"), {"choices": []}, chunk("cat"), chunk(reason="stop"),
    ]  # fmt: skip
    server.faults = [Fault(chunks=chunks)]
    *pieces, last = backend(server).stream(QUESTION, options=TEN)
    assert pieces == [Delta("a"), Delta("cat")]
    assert last == Delta(finish=Finish("stop", Usage(None, 0, None)))


def test_what_the_server_does_not_count_is_not_made_up(server: Served) -> None:
    assert ask(server, Fault(usage=False)).usage == Usage(None, 0, None)
    server.faults = [Fault(chunks=[chunk("a", "stop") | {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}])]
    assert complete(backend(server), [user(picture(0), "what?")], TEN).usage == Usage(5, None, 2)


@pytest.mark.parametrize(("details", "cached"), [({"cached_tokens": 3}, 3), ({}, None), (None, None)])
def test_what_the_server_had_read_before_is_told(server: Served, details: object, cached: int | None) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": details}
    assert ask(server, Fault(chunks=[chunk("a", "stop") | {"usage": usage}])).usage.cached_tokens == cached


@pytest.mark.parametrize("style", STYLES)
def test_calls_are_put_together_however_they_are_cut(server: Served, style: str) -> None:
    server.faults = [Fault(style=style)]
    reply = complete(backend(server), [scripted.CALLS], TEN, tools=TOOLS)
    here = complete(Scripted(), [scripted.CALLS], TEN, tools=TOOLS)
    assert (reply.text, reply.reason) == (here.text, "tool_calls")
    assert [(each.name, json.loads(each.arguments)) for each in reply.tool_calls] == [
        (each.name, json.loads(each.arguments)) for each in here.tool_calls
    ]
    ids = [each.id for each in reply.tool_calls]
    assert len(set(ids)) == 2
    assert all(ids)
    if style != "no index, no id":
        assert ids == [each.id for each in here.tool_calls]


def test_calls_count_where_the_server_says_stop_and_are_dropped_where_the_length_cut_them(server: Served) -> None:
    server.faults = [Fault(reason="stop"), Fault(reason="length", style="fragments")]
    replies = [complete(backend(server), [scripted.CALLS], TEN, tools=TOOLS) for _ in range(2)]
    assert [(each.reason, len(each.tool_calls)) for each in replies] == [("tool_calls", 2), ("length", 0)]


def test_a_call_without_arguments_has_an_empty_object(server: Served) -> None:
    call = {"index": 0, "id": "1", "function": {"name": "now", "arguments": ""}}
    assert ask(server, Fault(chunks=[chunk(tool_calls=[call], reason="tool_calls")])).tool_calls[0].arguments == "{}"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("eos", "stop"), ("stop_sequence", "stop"), ("model_length", "length"), ("abort", "cancelled")],
)
def test_reasons_of_other_names(server: Served, theirs: str, ours: str) -> None:
    assert ask(server, Fault(reason=theirs)).reason == ours


def test_an_unknown_reason_is_no_stop(server: Served) -> None:
    assert "a reason unknown here: tired" in refused(server, Fault(reason="tired"))
    assert "content filter" in refused(server, Fault(reason="content_filter"))


def test_a_stop_string_is_cut_and_ends_the_work_of_a_server_that_is_deaf_to_it(server: Served) -> None:
    whole = expected(Options(max_tokens=40)).text
    options = Options(max_tokens=10_000, stop=(whole[20:23],))
    server.long = 60
    reply = ask(server, Fault(deaf=True), options=options)
    assert (reply.text, reply.reason) == (whole[: whole.find(whole[20:23])], "stop")
    assert reply.usage == Usage(None, 0, None)
    assert server.gone.acquire(timeout=30)


@pytest.mark.parametrize("after", [3, 8])
def test_an_answer_that_breaks_off_is_no_answer(server: Served, after: int) -> None:
    given: list[str] = []
    server.faults = [Fault(drop_after=after)]
    with pytest.raises(IsthmusError, match="broke off: "):
        given.extend(delta.text for delta in backend(server).stream(QUESTION, options=TEN))
    assert len(server.asked) == 1  # not asked for again


def test_a_stream_that_ends_without_a_reason_broke_off(server: Served) -> None:
    assert "broke off: the answer ended without a finish_reason" in refused(server, Fault(reason=None))
    assert "broke off" in refused(server, Fault(reason=None, done=False))


def test_a_connection_that_is_lost_after_the_reason_lost_nothing(server: Served) -> None:
    chunks = [chunk("a cat"), chunk(reason="stop"), chunk()]
    assert ask(server, Fault(chunks=chunks, drop_after=2)).text == "a cat"


def test_garbage_is_said_to_be_garbage(server: Served) -> None:
    assert "sent what is no JSON" in refused(server, Fault(chunks=["{nonsense"]))
    assert "sent what cannot be read" in refused(server, Fault(chunks=["[1, 2]"]))
    assert "sent what cannot be read" in refused(server, Fault(chunks=[chunk(tool_calls=["?"])]))
    assert "sent what cannot be read" in refused(server, Fault(chunks=[chunk(content={"a": 1})]))
    assert "sent no stream" in refused(server, Fault(chunks=[], done=False, headers={"content-type": "text/html"}))


def test_an_error_within_the_stream_is_told(server: Served) -> None:
    line = refused(server, Fault(chunks=[chunk("a"), {"error": {"message": "out of memory", "code": 500}}]))
    assert "failed while answering: out of memory" in line


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_what_may_pass_is_asked_again(server: Served, status: int) -> None:
    assert ask(server, Fault(status), Fault(status)).text == expected().text
    assert len(server.asked) == 3


def test_a_connection_lost_before_the_first_piece_is_asked_again(server: Served) -> None:
    assert ask(server, Fault(drop_after=1)).text == expected().text
    assert len(server.asked) == 2


def test_patience_ends(server: Served) -> None:
    line = refused(server, *[Fault(503, {"error": {"message": "busy loading"}})] * 9)
    assert "failed (503): busy loading (look at its log" in line
    assert len(server.asked) == 1 + QUICK.retries


def test_the_server_says_when_to_ask_again(server: Served) -> None:
    """Were Retry-After not kept to, the time-out would be that of the backoff."""
    slow = replace(QUICK, backoff=10_000.0)
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1))
    for value in ("0", "0.001", past):
        server.asked.clear()
        assert ask(server, Fault(429, headers={"retry-after": value}), patience=slow).text == expected().text
        assert len(server.asked) == 2
    soon = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    for value in ("3600", soon):
        server.asked.clear()
        line = refused(server, Fault(429, {"error": "quota"}, {"retry-after": value}))
        assert "takes no more questions now: quota (ask again in 3" in line
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Fault(400, {"error": {"message": "too many pictures"}}), "refuses the question: too many pictures"),
        (Fault(400, {"object": "error", "message": "too long"}), "refuses the question: too long"),
        (Fault(422, {"detail": "no"}), "refuses the question: no"),
        (Fault(413, "<html>nginx</html>"), "refuses the question: it answers 413"),
        (Fault(307, headers={"location": "https://elsewhere/v1"}), "sends us on to https://elsewhere/v1"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words_and_not_repeated(server: Served, fault: Fault, line: str) -> None:
    assert line in refused(server, fault, kind=InputError)
    assert len(server.asked) == 1


def test_a_model_or_a_path_that_is_not_there(server: Served) -> None:
    with pytest.raises(InputError, match=r"has no model llava.*\(it has: scripted, another\)"):
        complete(backend(server, model="llava"), QUESTION, TEN)
    there = server.url.removesuffix("/v1")
    with pytest.raises(InputError, match=r"is not the path.*/v1\)"):
        complete(OpenAIBackend(MODEL, there, patience=QUICK), QUESTION, TEN)


def test_a_server_that_is_not_running() -> None:
    nowhere = OpenAIBackend(MODEL, "http://127.0.0.1:9/v1", patience=QUICK)
    with pytest.raises(IsthmusError, match=r"127.0.0.1:9/v1 cannot be reached: .*refused.* \(is it running"):
        complete(nowhere, QUESTION, TEN)


def test_a_server_that_speaks_no_tls(server: Served) -> None:
    asked = OpenAIBackend(MODEL, server.url.replace("http:", "https:"), patience=QUICK)
    with pytest.raises(IsthmusError, match=r"cannot be reached: .*\(is it https that it speaks"):
        complete(asked, QUESTION, TEN)


@pytest.mark.parametrize("fault", [Fault(hold_after=0), Fault(hold_after=1, keep_alive=True)])
def test_a_server_that_gives_nothing_is_waited_for_no_longer_than_was_said(server: Served, fault: Fault) -> None:
    """Keep-alives are no answer."""
    line = refused(server, fault, patience=replace(QUICK, first=0.3))
    assert "gave nothing in 0.3 s" in line
    assert server.gone.acquire(timeout=30)
    assert len(server.asked) == 1


def test_a_server_that_falls_silent_is_left(server: Served) -> None:
    line = refused(server, Fault(hold_after=4, keep_alive=True), patience=replace(QUICK, between=0.3))
    assert "broke off: nothing came for 0.3 s" in line
    assert server.gone.acquire(timeout=30)


def test_a_length_of_another_name_is_found_out_once(server: Served) -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    server.faults = [Fault(400, {"error": {"message": message, "param": "max_tokens"}})]
    asked = backend(server)
    assert [complete(asked, QUESTION, TEN).text for _ in range(2)] == [expected().text] * 2
    lengths = [{"max_tokens", "max_completion_tokens"} & set(body) for body in server.asked]
    assert lengths == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]
    server.faults = [Fault(400, {"error": {"message": message}})]
    with pytest.raises(InputError, match="refuses the question"):
        complete(asked, QUESTION, TEN)


def test_closing_a_stream_closes_its_connection(server: Served) -> None:
    server.faults = [Fault(hold_after=4)]
    stream = backend(server).stream(QUESTION, options=TEN)
    next(stream)
    stream.close()
    assert server.gone.acquire(timeout=30)
    assert next(stream, None) is None


def test_letting_go_of_a_stream_closes_its_connection(server: Served) -> None:
    server.faults = [Fault(hold_after=4), Fault(hold_after=4)]
    asked = backend(server)
    stream = asked.stream(QUESTION, options=TEN)
    next(stream)
    del stream
    assert server.gone.acquire(timeout=30)
    circle: list[Any] = [asked.stream(QUESTION, options=TEN)]
    circle.append(circle)
    next(circle[0])
    del circle, asked
    gc.collect()
    assert server.gone.acquire(timeout=30)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_another_thread_may_close_while_one_waits(server: Served, after: int) -> None:
    """Before the first header, before the first piece, and between pieces."""
    server.faults = [Fault(hold_after=after)]
    stream = backend(server).stream(QUESTION, options=TEN)
    read: list[Delta] = []
    reader = threading.Thread(target=lambda: read.extend(stream))
    reader.start()
    assert server.holding.acquire(timeout=30)
    stream.close()
    assert server.gone.acquire(timeout=30)
    reader.join(30)
    assert not reader.is_alive()
    assert read[-1].finish == Finish("cancelled", Usage(None, None, None))


def test_a_wait_for_the_next_try_can_be_closed(server: Served) -> None:
    server.faults = [Fault(503)]
    stream = backend(server, replace(QUICK, backoff=10_000.0)).stream(QUESTION, options=TEN)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    while not server.asked:
        reader.join(0.01)
    stream.close()
    reader.join(30)
    assert not reader.is_alive()


def test_a_stream_closed_before_it_is_read_sends_nothing(server: Served) -> None:
    stream = backend(server).stream(QUESTION, options=TEN)
    stream.close()
    assert list(stream) == []
    assert server.headers == []


def test_python_ends_while_an_answer_is_read(server: Served) -> None:
    server.faults = [Fault(hold_after=4)]
    code = (
        "import sys; from isthmus.backends.openai import OpenAIBackend; from isthmus.backends.backend import Options\n"
        "from isthmus.messages import user\n"
        "stream = OpenAIBackend('scripted', sys.argv[1]).stream([user('what is this?')], options=Options())\n"
        "print(next(stream).text)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert server.gone.acquire(timeout=30)


def test_a_connection_is_used_again(server: Served) -> None:
    asked = backend(server)
    complete(asked, QUESTION, TEN)
    connections = len({id(each) for each in asked._client._client._transport._pool.connections})  # type: ignore[attr-defined]
    complete(asked, QUESTION, TEN)
    assert connections == len(asked._client._client._transport._pool.connections) == 1  # type: ignore[attr-defined]


def test_the_key_is_sent_and_never_shown(
    server: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ISTHMUS_API_KEY", f"{KEY}\n")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer another")
    caplog.set_level(logging.DEBUG)
    asked = backend(server)
    complete(asked, QUESTION, TEN)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    for fault in (Fault(401, echo), Fault(400, echo), Fault(chunks=[echo]), Fault(chunks=["{"])):
        server.faults = [fault]
        with pytest.raises(IsthmusError) as raised:
            complete(asked, QUESTION, TEN)
        own = str(raised.getrepr(showlocals=True, funcargs=True, tbfilter=lambda info: info.traceback[1:]))
        assert KEY not in own
        assert "_answer" in own
        assert KEY not in str(raised.value)
    assert KEY not in caplog.text
    assert KEY not in repr(vars(asked))


def test_a_key_that_is_missing_or_wrong(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = Fault(401, {"error": {"message": "no"}})
    assert "wants a key: no (set ISTHMUS_API_KEY)" in refused(server, denied)
    assert "authorization" not in server.headers[0]
    monkeypatch.setenv("ISTHMUS_API_KEY", KEY)
    assert "refuses the key: no" in refused(server, denied)


def test_what_is_set_for_openai_goes_to_no_other_server(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "an organization")
    ask(server)
    assert not {"authorization", "openai-organization"} & set(server.headers[0])
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    ask(server)
    assert server.headers[1]["authorization"] == f"Bearer {KEY}"
    assert server.headers[1]["openai-organization"] == "an organization"
    complete(OpenAIBackend(MODEL), QUESTION, TEN)
    assert server.headers[2]["authorization"] == f"Bearer {KEY}"


def test_no_proxy_is_asked_about_this_machine(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ask(server).text == expected().text


def test_a_photo_on_the_command_line(server: Served, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture(0))
    model = f"openai:{MODEL}@{server.url}"
    code = "import sys; from isthmus.cli.main import app; app(standalone_mode=False); assert 'torch' not in sys.modules"
    words = ["ask", str(path), "what?", "--model", model, "--json", "--max-tokens", "9"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, timeout=120, check=True)
    here = complete(Scripted(), [user(picture(0), "what?")], Options(max_tokens=9))
    found = json.loads(done.stdout)
    assert (found["answer"], found["model"], found["finish"]) == (here.text, model, "length")
    counted = {"prompt_tokens": 12, "picture_tokens": 7, "completion_tokens": 9, "cached_tokens": None}
    assert found["usage"] == counted


def test_ctrl_c_on_the_command_line_closes_the_connection(server: Served) -> None:
    server.faults = [Fault(hold_after=4)]
    process = start("ask", "what is this?", "--model", f"openai:{MODEL}@{server.url}", "--max-tokens", 10)
    assert process.stdout is not None
    first = process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, b"")
    assert expected().text.startswith((first + rest).decode().removesuffix("\n"))
    assert server.gone.acquire(timeout=30)


def test_what_is_served_can_be_judged(server: Served) -> None:
    subject = load_subject(f"openai:{MODEL}@{server.url}")
    assert subject.backend is not None
    assert complete(subject.backend, QUESTION, TEN).text == expected().text
    assert (subject.speaker, subject.encoder, subject.embedder) == (None, None, None)


@pytest.mark.full
@pytest.mark.parametrize("model", ["text only", "llava"])
def test_a_server_of_other_peoples_gives_what_the_model_gives_here(
    folder: Callable[[str], str], model: str, tmp_path: Path
) -> None:
    """`transformers serve`, with the tiny models."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["transformers", "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    process = subprocess.Popen([*command, "--dtype", "float32"], env=environment, stderr=subprocess.DEVNULL)
    try:
        there = OpenAIBackend(
            folder(model), f"http://127.0.0.1:{port}/v1", patience=Patience(retries=30, backoff=0.01, first=300)
        )
        asked = [user(picture(0), "what is this?") if model == "llava" else user("what is this?")]
        reply, here = (
            complete(each, asked, Options(max_tokens=20)) for each in (there, TransformersBackend(folder(model)))
        )
        assert reply.text.rstrip("\ufffd") == here.text.rstrip("\ufffd")  # the last character may have been cut
        assert reply.reason == here.reason
        assert reply.usage.prompt_tokens == here.usage.prompt_tokens
        assert reply.usage.completion_tokens == here.usage.completion_tokens
    finally:
        process.terminate()
        process.wait(60)


def test_conformance_counts_tokens_of_pictures(server: Served) -> None:
    """So that the check above does not pass on None."""
    subject = Subject(backend(server), sees=True, steps=server.settled)
    conformance.usage_counts_pictures(subject)
    assert complete(subject.backend, [user(picture(0), "what?")], TEN).usage.picture_tokens == 7
