"""What the server adds to the time to the first text: through HTTP, less the same backend called directly.

The same tiny random LLaVA in this process and, behind the server, in another; the same questions to both, one by the
other and in drawn order, each new so that no cache helps, with a picture of their own or without. The difference
of each pair, and the median of those with an interval from its bootstrap. On a busy machine the difference is mostly
that of waking another process; the processor's time for a whole answer of TOKENS tokens, here and in the server, says
more there.

    python -m benchmarks.serve_overhead [--pairs 100] [--json]
"""

import argparse
import asyncio
import tempfile
import time
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from benchmarks.machine import show
from benchmarks.server_process import ask, metrics, server
from PIL import Image
from tests.backends.tiny_native import save_native_llava

from isthmus.backends.backend import Backend, Options
from isthmus.backends.load import load_backend
from isthmus.latency.ledger import median
from isthmus.messages import data_uri, parse

WARM = 10
TOKENS = 4
SIDE = 336


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = save_native_llava(Path(folder) / "tiny")
        backend = load_backend(model, "cpu")
        with server(model) as (host, port):
            rows = [
                measure(what, backend, host, port, options.pairs, seen) for what, seen in (("text", 0), ("picture", 1))
            ]
    show("serve overhead", rows, ["ms to the first text; the difference is the median of the pairs'"], options.json)


def measure(what: str, backend: Backend, host: str, port: int, pairs: int, pictures: int) -> dict[str, object]:
    draw = Random(0)
    direct: list[float] = []
    served: list[float] = []
    used = 0.0
    for at in range(pairs + WARM):
        if at == WARM:
            used, server_used = 0.0, processor_time(host, port)
        messages = question(at, pictures)
        times = {}
        for side in draw.sample(("direct", "served"), 2):
            if side == "direct":
                begun = time.process_time()
                times[side] = first(backend, messages)
                used += time.process_time() - begun
            else:
                times[side] = through(host, port, messages)
        if at >= WARM:
            direct.append(1000 * times["direct"])
            served.append(1000 * times["served"])
    server_used = processor_time(host, port) - server_used
    difference = median([through - called for through, called in zip(served, direct, strict=True)])
    return {
        "asked with": what,
        "direct p50": float(np.median(direct)),
        "served p50": float(np.median(served)),
        "difference p50": difference.median,
        "95 %": f"{difference.low:.2f} to {difference.high:.2f}",
        "direct CPU": 1000 * used / pairs,
        "served CPU": 1000 * server_used / pairs,
    }


def question(at: int, pictures: int) -> list[dict[str, Any]]:
    """None begins like another."""
    content: list[dict[str, Any]] = [
        {"type": "text", "text": f"{at * 7919 % 1000} dogs run along the beach: how many?"}
    ]
    for number in range(pictures):
        pixels = np.random.default_rng(at * 10 + number).integers(0, 255, (SIDE // 8, SIDE // 8, 3), np.uint8)
        stream = BytesIO()
        Image.fromarray(pixels).resize((SIDE, SIDE)).save(stream, "JPEG")
        content.insert(0, {"type": "image_url", "image_url": {"url": data_uri(stream.getvalue(), "image/jpeg")}})
    return [{"role": "user", "content": content}]


def first(backend: Backend, messages: list[dict[str, Any]]) -> float:
    started = time.perf_counter()
    stream = backend.stream(parse(messages), options=Options(max_tokens=TOKENS))
    next(stream)
    taken = time.perf_counter() - started
    for _ in stream:
        pass
    return taken


def through(host: str, port: int, messages: list[dict[str, Any]]) -> float:
    answered = asyncio.run(ask(host, port, {"model": "default", "messages": messages, "max_tokens": TOKENS}))
    assert answered.first is not None, answered
    return answered.first


def processor_time(host: str, port: int) -> float:
    return asyncio.run(metrics(host, port))["process_cpu_seconds_total"]


if __name__ == "__main__":
    main()
