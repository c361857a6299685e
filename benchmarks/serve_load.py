"""Many clients at once before one server: what is answered, how late, and whether anything is left behind.

The server is a process of its own, over a tiny random LLaVA. Each client asks for a streamed answer about a text of its
own, one after the other, until the time is over; a share of them leaves after a few pieces. Refusals (429) are tried
again after a second. At the end no slot may be taken, nobody may wait, and memory after the first quarter should be
flat.

    python -m benchmarks.serve_load [--clients 200] [--seconds 60] [--slots 8] [--queue 256] [--json]
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
from benchmarks.machine import show
from benchmarks.server_process import Answered, ask, metrics, server
from tests.backends.tiny_native import save_native_llava

LEAVERS = 0.05
TOKENS = 24
SAMPLE = 1.0
"""Seconds between looks at the server's memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--queue", type=int, default=256)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = save_native_llava(Path(folder) / "tiny")
        words = ("--slots", str(options.slots), "--queue", str(options.queue))
        with server(model, *words) as (host, port):
            row = asyncio.run(load(host, port, options.clients, options.seconds))
    notes = [
        f"{options.clients} clients, {options.seconds:.0f} s, {options.slots} slots, {TOKENS} tokens an answer, "
        f"{LEAVERS:.0%} of the answers left in the middle",
        "first, whole: ms from the sending of a request; memory: MB, first and last after a quarter of the time, and "
        "how far its extremes lie from its median",
    ]
    show("serve under load", [{"what": key, "value": value} for key, value in row.items()], notes, options.json)


async def load(host: str, port: int, clients: int, seconds: float) -> dict[str, object]:
    answers: list[Answered] = []
    memory: list[tuple[float, float]] = []
    begun = time.perf_counter()
    over = begun + seconds

    async def client(number: int) -> None:
        draw, at = Random(number), 0
        while time.perf_counter() < over:
            at += 1
            leave = draw.randint(1, TOKENS // 3) if draw.random() < LEAVERS else None
            question = f"client {number} asks for the {at}th time: what is in the picture?"
            body = {"model": "default", "messages": [{"role": "user", "content": question}], "max_tokens": TOKENS}
            answered = await ask(host, port, body, leave_after=leave)
            answers.append(answered)
            if answered.status != 200:
                await asyncio.sleep(1)

    async def watch() -> None:
        while time.perf_counter() < over:
            rss = (await metrics(host, port))["process_resident_memory_bytes"] / 2**20
            memory.append((time.perf_counter() - begun, rss))
            await asyncio.sleep(SAMPLE)

    await asyncio.gather(watch(), *(client(number) for number in range(clients)))
    for _ in range(100):  # the last who left may be in a step
        end = await metrics(host, port)
        if end["isthmus_answering"] == end["isthmus_waiting"] == 0:
            break
        await asyncio.sleep(0.1)
    whole = [each for each in answers if each.whole is not None]
    late = np.asarray([rss for at, rss in memory if at > seconds / 4])
    return {
        "answers": len(whole),
        "left in the middle": sum(each.status == 200 and each.whole is None for each in answers),
        **{f"status {status or 'broken'}": count for status, count in Counter(each.status for each in answers).items()},
        **_percentiles("first", [each.first for each in whole if each.first is not None]),
        **_percentiles("whole", [each.whole for each in whole if each.whole is not None]),
        "answers/s": len(whole) / seconds,
        "memory": f"{late[0]:.0f} to {late[-1]:.0f}",
        "memory from its median": f"{late.min() / np.median(late) - 1:+.1%} to {late.max() / np.median(late) - 1:+.1%}",
        "slots taken at the end": int(end["isthmus_answering"]),
        "waiting at the end": int(end["isthmus_waiting"]),
        "cancelled, as the server counts": int(
            sum(value for name, value in end.items() if name.startswith("isthmus_cancelled_total"))
        ),
    }


def _percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    return {f"{name} p{share}": 1000 * float(np.percentile(seconds, share)) for share in (50, 95, 99)}


if __name__ == "__main__":
    main()
