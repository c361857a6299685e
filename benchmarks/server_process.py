"""`isthmus serve` as a process of its own, over a tiny random LLaVA, and one request to it over a bare socket."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

TOKEN = "of-this-benchmark"


@contextmanager
def server(model: str, *words: str) -> Iterator[tuple[str, int]]:
    """Its host and port, once the model is loaded."""
    command = [sys.executable, "-m", "isthmus.cli.main", "serve", "--no-browser", "--port", "0", "--open-metrics"]
    command += ["--model", model, "--embedder", "", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=os.environ | {"ISTHMUS_TOKEN": TOKEN}, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            address = [process.stdout.readline() for _ in range(4)][1]
            assert process.stderr.readline().startswith("ready"), process.communicate()
            host, port = address.split("//")[1].split("/")[0].split(":")
            yield host, int(port)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Answered:
    """`status` 0: the connection broke. `first`, `whole`: seconds from the sending of the request, None where that did
    not come."""

    status: int
    first: float | None = None
    whole: float | None = None


async def ask(host: str, port: int, body: dict[str, Any], *, leave_after: int | None = None) -> Answered:
    """A streamed answer. `leave_after`: the connection is closed once so many of its pieces have come."""
    sent = json.dumps(body | {"stream": True}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\nConnection: close\r\n\r\n"
    )
    started = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(head.encode() + sent)
            await writer.drain()
            status = int((await reader.readline()).split()[1])
            first, pieces, ended = None, 0, False
            async for line in reader:
                if b'"content":"' in line and b'"content":""' not in line:
                    first = first or time.perf_counter() - started
                    pieces += 1
                    if pieces == leave_after:
                        return Answered(status, first)
                ended = ended or b"[DONE]" in line
            whole = time.perf_counter() - started
            return Answered(status if ended or status != 200 else 0, first, whole if ended else None)
        finally:
            writer.close()
    except (OSError, IndexError, ValueError):
        return Answered(0)


async def metrics(host: str, port: int) -> dict[str, float]:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /metrics HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(("isthmus", "process")))
    return {name: float(value) for name, _, value in lines}
