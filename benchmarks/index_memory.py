"""Peak memory of indexing at N, 4N and 16N photos: it must not grow with their number.

Each size runs in a process of its own, with a model of no weight, so that what is measured is the index. Photos are
distinct JPEGs, of 2 megapixels unless --side says otherwise, made from a few by changing their last bytes; each is
read, hashed and decoded in full.

    python -m benchmarks.index_memory [--photos 100] [--json]
    python -m benchmarks.index_memory --photos 6250 --side 160       100,000 small ones
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np

LIMIT = 1.10
"""Peak at 16N over peak at N."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--side", type=int, default=1600, help="pixels of the longer one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child[0]), Path(options.child[1]))
        return
    from benchmarks.machine import show

    table = []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "photos").mkdir()
        made = make_photos(base / "photos", options.side)
        count = 0
        for times in (1, 4, 16):
            for _ in range(times * options.photos - count):
                next(made)
            count = times * options.photos
            command = [sys.executable, "-m", "benchmarks.index_memory", "--child"]
            command += [str(base / f"library{times}"), str(base / "photos")]
            table.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    growth = table[-1]["peak MB"] / table[0]["peak MB"]
    show(
        "memory of indexing",
        table,
        [f"16 times the photos: {growth:.3f} times the memory (at most {LIMIT})"],
        options.json,
    )
    sys.exit(0 if growth <= LIMIT else 1)


def make_photos(folder: Path, side: int):
    from PIL import Image

    random = np.random.default_rng(0)
    sources = []
    for _ in range(4):
        small = Image.fromarray(random.integers(0, 256, (30, 40, 3)).astype(np.uint8))
        out = BytesIO()
        small.resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
        sources.append(out.getvalue())
    for at in itertools.count():
        # Bytes behind a JPEG's end are not looked at, but make it another file.
        (folder / f"{at:06}.jpg").write_bytes(sources[at % 4] + at.to_bytes(8, "big"))
        yield


def peak_megabytes() -> float:
    """Of this program: `ru_maxrss` would count what the parent had before it became this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def child(library: Path, folder: Path) -> None:
    from tests.photos.run_index import TorchFree

    from isthmus.images.fits import Crop
    from isthmus.photos.index import index
    from isthmus.photos.matrix import load_matrix
    from isthmus.photos.store import Library

    class Clip(TorchFree):
        def vectors(self, views):
            rows = np.stack([one.views[0].pixels.reshape(-1)[: self.dim] for one in views])
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    embedder = Clip(dim=512, fit=Crop())
    with Library.write(library) as store:
        before = peak_megabytes()
        report = index(store, [folder], embedder, quiet=True)
        load_matrix(store, store.models()[0])
    peak = peak_megabytes()
    assert report.left == 0 and not report.unread, report
    figures = {
        "photos": report.embedded,
        "before MB": round(before),
        "peak MB": round(peak, 1),
        "seconds": report.seconds,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
