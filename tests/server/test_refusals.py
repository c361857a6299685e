"""What cannot be answered is refused in one shape, with the field at fault, and before it costs anything."""

import json
import struct
import zlib
from typing import Any

import httpx
import pytest

from isthmus.backends.backend import Delta, Options, Stream
from isthmus.errors import IsthmusError
from isthmus.messages import data_uri
from tests.backends.conformance import picture
from tests.backends.scripted import Scripted

from .serving import NAME, Served, served

CHAT, EMBED = "v1/chat/completions", "v1/embeddings"
HELLO = {"model": NAME, "messages": [{"role": "user", "content": "hello"}]}


def post(here: Served, body: Any, path: str = CHAT, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **here.auth, **headers}
    return httpx.post(here.address + path, content=content, headers=sent, timeout=60)


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    (error,) = answer.json().values()
    assert set(error) == {"message", "type", "param", "code"}
    assert len(error["message"].splitlines()) == 1
    return error


def shown(*urls: str) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"model": NAME, "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "what?"}]}]}


def png(width: int, height: int) -> bytes:
    """A file that says it is so large, and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"n": 2}, "n", "unsupported_value"),
        ({"logprobs": True}, "logprobs", "unsupported_value"),
        ({"top_logprobs": 3}, "top_logprobs", "unsupported_value"),
        ({"logit_bias": {"50256": -100}}, "logit_bias", "unsupported_value"),
        ({"presence_penalty": 0.5}, "presence_penalty", "unsupported_value"),
        ({"frequency_penalty": -1}, "frequency_penalty", "unsupported_value"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_value"),
        ({"audio": {"voice": "alloy"}}, "audio", "unsupported_value"),
        ({"tool_choice": "required"}, "tool_choice", "unsupported_value"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice", "unsupported_value"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls", "unsupported_value"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_value"),
        ({"reasoning_effort": "high"}, "reasoning_effort", "unsupported_value"),
        ({"temprature": 1}, "temprature", "unknown_parameter"),
        ({"top_k": 5}, "top_k", "unknown_parameter"),
        ({"isthmus": {"recipt": True}}, "isthmus.recipt", "unknown_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"temperature": "1"}, "temperature", "invalid_value"),
        ({"temperature": float("nan")}, "temperature", "invalid_value"),
        ({"top_p": 0}, "top_p", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": True}, "max_completion_tokens", "invalid_value"),
        ({"seed": 2**64}, "seed", "invalid_value"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value"),
        ({"stop": ""}, "stop.0", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_value"),
        ({"model": 7}, "model", "invalid_value"),
        ({"model": "other"}, "model", "model_not_found"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "hello"}, "messages", "invalid_value"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages", "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages", "invalid_value"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, None, "invalid_value"),
        ({"tools": [{"type": "function", "function": {"name": "no name"}}]}, "tools.0.function.name", "invalid_value"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools.0.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ],
)
def test_the_field_at_fault_is_named(scripted: Served, change: dict[str, Any], param: str | None, code: str) -> None:
    status = 404 if code == "model_not_found" else 400
    error = refused(post(scripted, HELLO | change), status)
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(scripted: Served, missing: str) -> None:
    error = refused(post(scripted, {name: value for name, value in HELLO.items() if name != missing}), 400)
    assert (error["param"], error["code"]) == (missing, "missing_required_parameter")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"model": "\\ud800"}', b"[" * 100_000, b'{"a":' * 5000,
     b'{"model": 1e999}', b"[" + b"[]," * 200_000 + b"[]]"],
)  # fmt: skip
@pytest.mark.parametrize("path", [CHAT, EMBED])
def test_what_is_no_json_object_is_refused(scripted: Served, path: str, body: bytes) -> None:
    refused(post(scripted, body, path), 400)


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_refused(scripted: Served, kind: str) -> None:
    error = refused(post(scripted, HELLO, **{"Content-Type": kind}), 415)
    assert error["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("urls", "code", "says"),
    [
        (["https://example.org/a.png"], "invalid_value", "send it as data:image"),
        (["http://169.254.169.254/latest/meta-data"], "invalid_value", "send it as data:image"),
        (["file:///etc/passwd"], "invalid_value", "send it as data:image"),
        (["data:image/png;base64,@@@"], "invalid_value", "not base64"),
        (["data:image/png;base64,"], "invalid_value", "send it as data:image"),
        (["data:text/plain;base64,aGVsbG8="], "invalid_value", "send it as data:image"),
        ([data_uri(b"hello", "image/png")], "invalid_image", "not a picture"),
        ([data_uri(picture(0)[:20], "image/png")], "invalid_image", ""),
        ([data_uri(png(10_000, 10_000), "image/png")], "image_too_large", "10000 x 10000"),
        ([data_uri(picture(0), "image/png")] * 4, "too_many_images", "at most 3"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{len(value)} of {value[0][:40]}",
)
@pytest.mark.parametrize("path", [CHAT, EMBED])
def test_pictures_are_looked_at_before_anything_is_decoded(
    scripted: Served, path: str, urls: list[str], code: str, says: str
) -> None:
    body = shown(*urls)
    if path == EMBED:
        body = {"model": "default", "input": body["messages"][0]["content"][:-1]}
    error = refused(post(scripted, body, path), 400)
    assert error["code"] == code
    assert says in error["message"] or path == EMBED
    assert error["param"].startswith("messages" if path == CHAT else "input")


def test_too_much_text_is_refused_by_its_length(scripted: Served) -> None:
    long = {"model": NAME, "messages": [{"role": "user", "content": "a " * 1001}]}
    assert refused(post(scripted, long), 400)["code"] == "string_above_max_length"
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"description": "a" * 2001}}}]
    assert refused(post(scripted, HELLO | {"tools": tools}), 400)["code"] == "string_above_max_length"
    assert refused(post(scripted, {"model": "default", "input": "a" * 2001}, EMBED), 400)["param"] == "input"


def test_a_million_tokens_and_a_hundred_megapixels_are_refused_by_default() -> None:
    backend = Scripted()
    with served(backend) as here:
        long = {"model": NAME, "messages": [{"role": "user", "content": "the " * 1_000_000}]}
        assert refused(post(here, long), 400)["code"] == "string_above_max_length"
        large = shown(data_uri(png(10_000, 10_000), "image/png"))
        assert refused(post(here, large), 400)["code"] == "image_too_large"
    assert backend.work == []


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(scripted: Served) -> None:
    large = b" " * (2 << 20)
    assert refused(post(scripted, large), 413)["code"] == "body_too_large"
    chunked = httpx.post(
        scripted.address + CHAT, content=iter([large[:700_000]] * 3), timeout=60,
        headers={"Content-Type": "application/json", **scripted.auth},
    )  # fmt: skip
    assert refused(chunked, 413)["code"] == "body_too_large"
    assert refused(post(scripted, large, "api/session"), 413)["code"] == "body_too_large"


@pytest.mark.parametrize(
    "wanted", [[], [""], [[1, 2, 3]], [7], [{"type": "text"}], [{"a": 1}], None, "", {"type": "image_url"}]
)
def test_what_is_no_input_has_no_vector(scripted: Served, wanted: Any) -> None:
    error = refused(post(scripted, {"model": "default", "input": wanted}, EMBED), 400)
    assert error["param"].split(".")[0] == "input"


def test_paths_and_methods_that_are_not_there(scripted: Served) -> None:
    assert refused(httpx.get(scripted.address + "v1/nothing", headers=scripted.auth), 404)["code"] == "not_found"
    answer = httpx.get(scripted.address + CHAT, headers=scripted.auth)
    assert refused(answer, 405)["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "POST"


class Failing(Scripted):
    def __init__(self, error: Exception, after: int) -> None:
        super().__init__(name="/home/ana/secret/model")
        self.error, self.after = error, after

    def stream(self, messages: Any, *, tools: Any = None, options: Options) -> Stream:  # noqa: ARG002
        for _ in range(self.after):
            yield Delta("a")
        raise self.error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("in /home/ana/secret/model"), IsthmusError("no memory at /home/ana"), KeyError("x"), TimeoutError()],
)
def test_a_mistake_of_ours_tells_its_id_and_nothing_else(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with served(Failing(error, 0)) as here:
        for stream in (False, True):
            answer = post(here, HELLO | {"stream": stream})
            told = refused(answer, 500)
            assert told["code"] == "internal_error"
            assert answer.headers["x-request-id"] in told["message"]
            assert "ana" not in answer.text
            assert "Traceback" not in answer.text
            assert answer.headers["x-request-id"] in caplog.text
        here.until(lambda: here.engine.admission.busy == 0)


def test_what_goes_wrong_within_a_stream_is_its_last_event() -> None:
    with served(Failing(RuntimeError("/home/ana"), 3)) as here:
        answer = post(here, HELLO | {"stream": True})
        assert answer.status_code == 200
        *_, last = answer.text.strip().split("\n\n")
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "internal_error"
        assert "[DONE]" not in answer.text
        assert "ana" not in answer.text
        here.until(lambda: here.engine.admission.busy == 0)


def test_a_backend_s_refusal_does_not_tell_where_it_lies() -> None:
    from isthmus.errors import InputError

    with served(Failing(InputError("/home/ana/secret/model reads no tools"), 0)) as here:
        assert refused(post(here, HELLO), 400)["message"] == f"{NAME} reads no tools"


def test_an_embedder_that_cannot_be_loaded_is_not_here_now(scripted: Served) -> None:
    from isthmus.errors import MissingPart
    from isthmus.server.embedding import Embeddings

    def load() -> Any:
        raise MissingPart("no weights in /home/ana")

    with served(Scripted(), embeddings=Embeddings(("e",), load)) as here:
        answer = post(here, {"model": "e", "input": "x"}, EMBED)
        assert refused(answer, 503)["code"] == "embedder_unavailable"
        assert "ana" not in answer.text
    with served(Scripted()) as here:
        assert refused(post(here, {"model": "e", "input": "x"}, EMBED), 404)["code"] == "model_not_found"
    assert scripted.engine.embeddings is not None
