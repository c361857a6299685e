"""One exact query over N fp16 vectors, against the time to merely read them.

Reading: all bytes of the same mapped file summed as 64-bit words, by the same number of threads. Query: the product
with every row, the ten best, and their exact scores. Both are repeated in turns; figures are medians. Other ways to
do the product are measured beside it (simsimd and numkong where they are installed: neither is needed).

    python -m benchmarks.exact_scan [--rows 100000] [--dim 512] [--repeats 31] [--json]
"""

import argparse
import importlib
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from benchmarks.machine import show

from isthmus.photos.scan import Scan

TOP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    table: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        rows, queries = vectors(Path(folder) / "vectors", options.rows, options.dim)
        truth = best_in_fp32(rows, queries)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with ThreadPoolExecutor(threads) as pool:
                table += measure(rows, queries, truth, threads, pool, options.repeats)
    gigabytes = rows.nbytes / 1e9
    notes = [
        f"{options.rows} x {options.dim} fp16, {gigabytes * 1e3:.0f} MB, mapped from a file in the page cache; "
        f"{options.repeats} repeats in turns, medians",
        "ratio: to reading the same bytes with as many threads. recall@10: against fp32 arithmetic on the rows",
    ]
    show("exact scan", table, notes, options.json)


def vectors(path: Path, n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows in clusters, as pictures are, mapped from a file; and 20 fp32 queries near some of them."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((200, dim), np.float32)
    stored = np.memmap(path, "<f2", "w+", 0, (n, dim))
    for start in range(0, n, 10_000):
        part = centres[random.integers(0, 200, min(10_000, n - start))]
        part = part + random.standard_normal(part.shape, np.float32)
        stored[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    stored.flush()
    queries = stored[random.integers(0, n, 20)].astype(np.float32) + random.standard_normal((20, dim), np.float32) / 9
    return np.memmap(path, "<f2", "c", 0, (n, dim)), queries / np.linalg.norm(queries, axis=1, keepdims=True)


def best_in_fp32(rows: np.ndarray, queries: np.ndarray) -> list[set[int]]:
    scores = np.concatenate([part.astype(np.float32) @ queries.T for part in np.array_split(rows, 50)])
    return [set(np.argpartition(-scores[:, at], TOP)[:TOP].tolist()) for at in range(len(queries))]


def measure(
    rows: np.ndarray, queries: np.ndarray, truth: list[set[int]], threads: int, pool: ThreadPoolExecutor, repeats: int
) -> list[dict[str, object]]:
    words = rows.reshape(-1).view(np.uint64)
    parts = np.array_split(words, threads)
    ways: dict[str, Callable[[np.ndarray], object]] = {
        "read the bytes": lambda _: sum(pool.map(lambda part: int(part.sum(dtype=np.uint64)), parts)),
        "isthmus (always one thread)": lambda query: Scan.of(rows, query).best(TOP)[0].tolist(),
        **others(rows, threads),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    found: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats):
        at = repeat % len(queries)
        for way, go in ways.items():
            start = time.perf_counter()
            result = go(queries[at])
            seconds[way].append(time.perf_counter() - start)
            if isinstance(result, list):
                found[way].append(len(truth[at] & set(result)) / TOP)
    floor = statistics.median(seconds["read the bytes"])
    return [
        {
            "way": way,
            "threads": threads,
            "ms": statistics.median(times) * 1e3,
            "least ms": min(times) * 1e3,
            "GB/s": rows.nbytes / 1e9 / statistics.median(times),
            "ratio": statistics.median(times) / floor,
            "recall@10": statistics.mean(found[way]) if found[way] else "-",
        }
        for way, times in seconds.items()
    ]


def others(rows: np.ndarray, threads: int) -> dict[str, Callable[[np.ndarray], object]]:
    whole = torch.from_numpy(rows)
    brain = whole.to(torch.bfloat16)

    def topped(scores: np.ndarray) -> list[int]:
        return list(np.argpartition(-scores, TOP)[:TOP])

    def chunked(query: np.ndarray) -> list[int]:
        vector = torch.from_numpy(query)
        scores = torch.empty(len(rows))
        for start in range(0, len(rows), 2048):
            torch.mv(whole[start : start + 2048].float(), vector, out=scores[start : start + 2048])
        return torch.topk(scores, TOP).indices.tolist()

    ways: dict[str, Callable[[np.ndarray], object]] = {
        "torch fp16": lambda query: torch.topk(torch.mv(whole, torch.from_numpy(query).half()), TOP).indices.tolist(),
        "torch bf16": lambda query: torch.topk(
            torch.mv(brain, torch.from_numpy(query).bfloat16()), TOP
        ).indices.tolist(),
        "torch fp32, in chunks": chunked,
        "numpy fp32, in chunks": lambda query: topped(
            np.concatenate([part.astype(np.float32) @ query for part in np.array_split(rows, len(rows) // 512 + 1)])
        ),
    }
    for name in ("simsimd", "numkong"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue

        def simd(query: np.ndarray, cdist: Callable[..., object] = module.cdist) -> list[int]:
            found = cdist(rows, query.astype(np.float16)[None], metric="dot", threads=threads)
            return topped(np.asarray(found, np.float32).reshape(-1))

        ways[name] = simd
    return ways


if __name__ == "__main__":
    main()
