"""Reading kept features from a warm page cache, against copying as many bytes from memory to memory.

Features are of the size of a ViT-B/16's at 224 pixels: 196 x 768 in float16, with their boxes. Each side puts together
batches of random pictures, the same for all, in turns and in random order, in one run. Figures are of CPU time: medians
over batches, and of each batch's ratio to the copy, with the middle half of these.

    OMP_NUM_THREADS=1 python -m benchmarks.feature_cache [--pictures 1000] [--batches 40] [--json]
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarks.machine import show
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from isthmus.images.fits import Squash
from isthmus.images.views import Views
from isthmus.training.feature_cache import FeatureCache
from isthmus.vision.features import Features, pad

TOKENS, WIDTH, BATCH = 196, 768, 32
SETTLED = 2.5
Side = Callable[[list[int]], Tensor]


class Given:
    """An encoder that gives what it was given: for picture i, whose colour is i, rows[i]."""

    name, width, fingerprint = "given", WIDTH, "given"
    fit = Squash(size=1, mean=(0.0,) * 3, std=(1.0,) * 3)

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def encode(self, views: Sequence[Views]) -> Features:
        colours = [(each.views[0].pixels[:, 0, 0] * 255).round().astype(int) for each in views]
        which = [int(red) * 256 + int(green) for red, green, _ in colours]
        tokens = self.rows[which]
        return pad(list(tokens), [torch.full((TOKENS, 4), float(at)) for at in which], tokens[:, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = torch.randn(options.pictures, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0)).half()
    with tempfile.TemporaryDirectory() as name:
        sides, first = contestants(Path(name), rows)
        spent = measure(sides, rows, options.batches)
    size = rows[0].nbytes + TOKENS * 16
    table = []
    for side, times in spent.items():
        ratios = [one / copy for one, copy in zip(times, spent["copy in memory"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        reads = BATCH / statistics.median(times)
        figures = {"reads/s": round(reads), "GB/s": reads * size / 1e9}
        table.append({"side": side, **figures, "times the copy": middle, "from": low, "to": high})
    notes = [
        f"{options.pictures} pictures of {size / 1000:.0f} kB, {options.batches} batches of {BATCH}, one to warm up",
        f"all pictures read for the first time in a process, SHA-256 checked: {first:.0f} reads/s",
        "each batch's tokens were compared with the encoder's",
    ]
    show("reading kept features, 196 x 768 float16, page cache warm", table, notes, options.json)


def contestants(base: Path, rows: Tensor) -> tuple[dict[str, Side], float]:
    """The sides, and reads/s of the cache where all is read for the first time."""
    paths = [base / f"{at}.png" for at in range(len(rows))]
    for at, path in enumerate(paths):
        Image.new("RGB", (1, 1), (at // 256, at % 256, 0)).save(path)
        save_file({"tokens": rows[at], "boxes": torch.zeros(TOKENS, 4)}, path.with_suffix(".safetensors"))
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    time.sleep(SETTLED)  # hashes of files changed just now are not remembered
    made, once, never, always = (
        FeatureCache.open(base / "features", Given(rows), leave_free=0, verify=check)
        for check in ("first", "first", "never", "always")
    )
    for batch in batches:
        made.encode(batch)
    once.encode(paths[:1])  # learns of what was written
    start = time.process_time()
    for batch in batches:
        once.encode(batch)
    first = len(rows) / (time.process_time() - start)
    boxes = torch.zeros(len(rows), TOKENS, 4)
    (base / "mapped").write_bytes(rows.numpy().tobytes())
    mapped = np.memmap(base / "mapped", np.float16, "r+", shape=tuple(rows.shape))

    def from_cache(cache: FeatureCache) -> Side:
        return lambda which: cache.encode([paths[at] for at in which]).tokens

    def copied(source: Tensor) -> Side:
        def copy(which: list[int]) -> Tensor:
            batch, places = (
                torch.empty(len(which), TOKENS, WIDTH, dtype=source.dtype),
                torch.empty(len(which), TOKENS, 4),
            )
            for row, at in enumerate(which):
                batch[row], places[row] = source[at], boxes[at]
            return batch

        return copy

    def read(which: list[int]) -> Tensor:
        batch, places = torch.empty(len(which), TOKENS, WIDTH, dtype=rows.dtype), torch.empty(len(which), TOKENS, 4)
        into = batch.view(torch.uint8).numpy()
        with (base / "mapped").open("rb", buffering=0) as file:
            for row, at in enumerate(which):
                os.preadv(file.fileno(), [into[row]], at * into[row].nbytes)
                places[row] = boxes[at]
        return batch

    def from_files(which: list[int]) -> Tensor:
        read = [load_file(paths[at].with_suffix(".safetensors")) for at in which]
        torch.stack([each["boxes"] for each in read])
        return torch.stack([each["tokens"] for each in read])

    sides = {
        "copy in memory": copied(rows),
        "cache": from_cache(once),
        "cache, never checked": from_cache(never),
        "cache, always checked": from_cache(always),
        "read alone": read,
        "memory map, copied": copied(torch.from_numpy(mapped)),
        "safetensors, a file each": from_files,
    }
    return sides, first


def measure(sides: dict[str, Side], rows: Tensor, batches: int) -> dict[str, list[float]]:
    """CPU seconds of each side for each batch."""
    draw = random.Random(0)
    spent: dict[str, list[float]] = {side: [] for side in sides}
    for at in range(batches + 1):
        which = draw.sample(range(len(rows)), BATCH)
        for side in draw.sample(list(sides), len(sides)):
            start = time.process_time()
            read = sides[side](which)
            seconds = time.process_time() - start
            assert torch.equal(read, rows[which]), side
            if at:
                spent[side].append(seconds)
    return spent


if __name__ == "__main__":
    main()
