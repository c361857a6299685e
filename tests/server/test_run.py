"""The server as a process: it says where it is, ends without tearing an answer, and refuses in one line."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InputError, MissingPart
from isthmus.server.run import serve
from isthmus.server.settings import Settings
from tests.backends.tiny_native import save_native_llava

ENDLESS = 100_000_000
PATIENCE = 120
TOKEN = "a-token-of-my-own"


@contextmanager
def process(*words: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, text=True, env=os.environ | environment, **pipes) as made:  # type: ignore[call-overload]
        try:
            yield made
        finally:
            made.kill()


@contextmanager
def endless(grace: float) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with process("tests.server.endless", str(grace)) as made:
        assert made.stdout is not None
        address = made.stdout.readline().strip()
        assert made.stdout.readline() == "ready\n", made.communicate()[1]
        yield made, address


def ask(address: str, max_tokens: int, token: str = "none") -> dict[str, Any]:
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": max_tokens,
        "stream": True,
    }
    return {"url": f"{address}v1/chat/completions", "json": body, "headers": {"Authorization": f"Bearer {token}"}}


def check_cut_short(rest: list[str]) -> None:
    assert rest[-1] == "data: [DONE]"
    ending = json.loads(rest[-2].removeprefix("data: "))
    assert ending["choices"][0]["finish_reason"] == "length"
    assert ending["isthmus"] == {"ended": "stopping"}


def test_after_the_grace_an_answer_is_ended_in_order() -> None:
    with endless(0) as (made, address), httpx.Client(timeout=PATIENCE) as client:
        with client.stream("POST", **ask(address, ENDLESS)) as answer:
            lines = answer.iter_lines()
            assert '"content"' in next(lines)
            made.send_signal(signal.SIGTERM)
            check_cut_short([line for line in lines if line])
        assert made.wait(PATIENCE) == 0
        assert made.communicate()[1] == ""


def test_within_the_grace_answers_go_on_and_who_comes_is_told() -> None:
    with endless(1000) as (made, address), httpx.Client(timeout=PATIENCE) as client:
        other = httpx.Client(timeout=PATIENCE)
        with other, client.stream("POST", **ask(address, ENDLESS)) as answer:
            lines = answer.iter_lines()
            next(lines)
            told = other.get(f"{address}health").json()
            assert (told["status"], told["answering"], told["waiting"]) == ("busy", 1, 0)
            made.send_signal(signal.SIGINT)
            while (now := other.get(f"{address}health")).json()["status"] != "stopping":
                assert now.status_code == 200
            assert now.status_code == 503
            refused = other.post(**ask(address, 1))
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
            for _ in range(100):  # it is still told
                assert '"content"' in next(line for line in lines if line)
            made.send_signal(signal.SIGINT)  # in a hurry
            check_cut_short([line for line in lines if line])
        assert made.wait(PATIENCE) == 0


def test_an_answer_that_ends_within_the_grace_is_whole() -> None:
    with endless(1000) as (made, address), httpx.Client(timeout=PATIENCE) as client:
        with client.stream("POST", **ask(address, 500)) as answer:
            lines = answer.iter_lines()
            next(lines)
            made.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        assert rest[-1] == "data: [DONE]"
        assert "isthmus" not in json.loads(rest[-2].removeprefix("data: "))
        assert made.wait(PATIENCE) == 0


def test_the_command_serves_a_real_model(tmp_path: Path) -> None:
    """Our own tiny model, random, with a picture, by a token from the environment."""
    from isthmus.messages import data_uri
    from tests.backends.conformance import picture

    model = save_native_llava(tmp_path / "tiny-llava")
    words = ("isthmus.cli.main", "serve", "--no-browser", "--port", "0", "--model", model, "--embedder", "")
    with process(*words, ISTHMUS_TOKEN=TOKEN) as made:
        assert made.stdout is not None
        assert made.stderr is not None
        said = [made.stdout.readline() for _ in range(4)]
        assert all(said), made.communicate()[1]
        assert TOKEN not in "".join(said)
        address = said[1].partition(":")[2].strip().removesuffix("v1")
        assert made.stderr.readline() == "ready: tiny-llava\n"
        asked = ask(address, 12, TOKEN)
        url = data_uri(picture(0), "image/png")
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what?"}]
        asked["json"] |= {
            "stream": False,
            "messages": [{"role": "user", "content": content}],
            "isthmus": {"receipt": True},
        }
        told = httpx.post(**asked, timeout=PATIENCE).json()
        assert told["model"] == "tiny-llava"
        assert told["usage"]["completion_tokens"] == 12
        assert told["usage"]["prompt_tokens_details"] == {"image_tokens": 16, "cached_tokens": 0}
        assert told["isthmus"]["receipt"]["total"] > 0
        json_asked = ask(address, 12, TOKEN)
        json_asked["json"] |= {"response_format": {"type": "json_object"}, "stream": False}
        refused = httpx.post(**json_asked, timeout=PATIENCE)  # what this model cannot do, it refuses
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
        assert str(tmp_path) not in refused.text
        assert httpx.post(**ask(address, 1, "wrong")).status_code == 401
        made.send_signal(signal.SIGTERM)
        out, err = made.communicate(timeout=PATIENCE)
        assert (made.returncode, out, err) == (0, "", "stopped\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--host", "0.0.0.0"), "can be reached from other machines"),
        (("--host", "evil.example"), "is no address"),
        (("--host", "0.0.0.0", "--exposed", "--no-token"), "is for this machine only"),
        (("--token", "short"), "the token cannot be used"),
        (("--token", "long-enough", "--no-token"), "both a token and --no-token"),
        (("--port", "{taken}"), "cannot be used"),
    ],
)
def test_what_it_refuses_it_refuses_before_it_loads_a_model(words: tuple[str, ...], says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["serve", "--no-browser", *(word.format(taken=port) for word in words)])
    assert isinstance(done.exception, InputError)
    assert says in str(done.exception)
    assert done.stdout == ""


def test_a_model_that_cannot_be_loaded_ends_the_server() -> None:
    def load() -> Any:
        raise MissingPart("no weights here")

    begun: list[str] = []
    with pytest.raises(MissingPart):
        serve(
            load, ("none",), settings=Settings(), embeddings=None, secret=None, port=0, begun=begun.append,
            ready=lambda: begun.append("ready"), browser=False,
        )  # fmt: skip
    assert len(begun) == 1
