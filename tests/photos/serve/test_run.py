"""`isthmus photos serve` as a process: it says where it is, ends cleanly, and refuses in one line."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from isthmus.photos.store import Library

COMMAND = [sys.executable, "-m", "isthmus.cli.main", "photos", "serve", "--no-browser", "--library"]


@contextmanager
def started(*words: object) -> Iterator[tuple[subprocess.Popen, str, str]]:
    """The process, its address and the token."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # The library's model is in no hub: it is not looked for there.
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with subprocess.Popen([*COMMAND, *map(str, words)], text=True, env=environment, **pipes) as process:
        try:
            line = process.stdout.readline()
            assert "#token=" in line, process.stderr.read()
            yield process, *line.strip().split("#token=")
        finally:
            process.kill()


@pytest.fixture
def by_time(made: Path, tmp_path: Path) -> Path:
    """The library of a model that is not there: what has no words works all the same."""
    import shutil

    shutil.copytree(made / "lib", tmp_path / "lib")
    return tmp_path / "lib"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_and_ends_when_asked_to(by_time: Path, number: signal.Signals) -> None:
    with started(by_time, "--port", 0) as (process, address, token):
        assert address.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=120) as client:
            assert client.get("/").status_code == 200
            assert client.get("/api/search").json()["count"] == 7
            assert client.get("/api/search", headers={"Authorization": "Bearer x"}).status_code == 401
            process.send_signal(number)  # while the connection is kept open
            out, err = process.communicate(timeout=120)
        assert process.returncode == 0
        assert out == ""
        assert err.splitlines() == ["stopped"]


def test_it_starts_without_torch(by_time: Path) -> None:
    code = (
        "import sys; from isthmus.photos.serve import app, run; from isthmus.photos.store import Library;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert by_time.is_dir()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("{tmp}/absent",), "there is no photo library in"),
        (("{lib}", "--host", "0.0.0.0"), "can be reached from other machines"),
        (("{lib}", "--host", "::"), "can be reached from other machines"),
        (("{lib}", "--host", "evil.example"), "is no address"),
        (("{lib}", "--port", "{taken}"), "cannot be used"),
    ],
)
def test_what_it_refuses_is_one_line(made: Path, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {"tmp": tmp_path, "lib": made / "lib", "taken": taken.getsockname()[1]}
        command = [*COMMAND, *(word.format(**values) for word in words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_serving_changes_nothing_in_the_library(by_time: Path) -> None:
    before = (by_time / "library.sqlite").read_bytes()
    with started(by_time, "--port", 0) as (_, address, token):
        httpx.get(f"{address}api/photos/1/thumbnail", headers={"Authorization": f"Bearer {token}"}, timeout=120)
    assert (by_time / "library.sqlite").read_bytes() == before
    with Library.read(by_time) as library:
        assert library.check() == 7
