"""kill -9 while indexing, at many random moments of the clock, then to the end: nothing lost, nothing doubled.

A process indexes generated pictures with a model of no weight. It is killed at a random moment of its life (start and
end included) and started again on the same library, until it has been killed as often as wanted; the last one runs to
its end. The library must then equal, row for row and vector for vector, one that was never interrupted. Whenever it has
nothing left to do, a new library is begun, so that kills fall into all stages.

    python -m benchmarks.kill_index [--kills 50] [--photos 600] [--seed 0] [--json]
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import show
from tests.photos.fakes import paint, rows

from isthmus.photos.report import coverage
from isthmus.photos.store import FILE, Library

REPOSITORY = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    kills = finished = early = 0
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        make_photos(base / "photos", options.photos)
        start = time.perf_counter()
        assert run(base / "unbroken", base / "photos") == 0
        whole = time.perf_counter() - start
        truth = rows(base / "unbroken")
        while kills < options.kills:
            code = run(base / "broken", base / "photos", moments.uniform(0.05, 1.0) * whole)
            if code == 0:
                finished += 1
                broken += compare(rows(base / "broken"), truth)
                shutil.rmtree(base / "broken")
                continue
            kills += 1
            if (base / "broken" / FILE).exists():
                broken += sound(base / "broken")
            else:
                early += 1
        assert run(base / "broken", base / "photos") == 0
        broken += compare(rows(base / "broken"), truth)
    table = [
        {"kills": kills, "before the library was made": early, "runs to the end": finished + 1, "faults": len(broken)}
    ]
    notes = [
        f"{len(truth['files'])} files, {len(truth['vectors'])} vectors; an unbroken run takes {whole:.1f} s",
        *(broken or ["every library ended with the same rows and the same vectors"]),
    ]
    show("kill -9 while indexing", table, notes, options.json)
    sys.exit(1 if broken else 0)


def run(library: Path, folder: Path, seconds: float | None = None) -> int:
    """The exit code; the process is killed after so many seconds."""
    command = [sys.executable, "-m", "tests.photos.run_index", str(library), str(folder)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def sound(library: Path) -> list[str]:
    """What is wrong with a library right after a kill."""
    if (library / FILE).stat().st_size == 0:
        return []
    try:
        with Library.read(library) as store:
            vectors, found = store.check(), coverage(store)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return [] if "there is no photo library" in str(error) else [f"after a kill: {error}"]
    return [] if vectors == found.photos else [f"after a kill: {vectors} vectors for {found.photos} photos"]


def compare(found: dict[str, list[tuple[object, ...]]], truth: dict[str, list[tuple[object, ...]]]) -> list[str]:
    return [
        f"{table}: {len(found[table])} rows, {len(truth[table])} expected"
        for table in truth
        if found[table] != truth[table]
    ]


def make_photos(folder: Path, count: int) -> None:
    for at in range(count):
        paint(folder / f"{at % 13:02}/{at:04}.{('png', 'jpg', 'webp')[at % 3]}", size=(160, 120), seed=at)
    for at in range(0, count, 20):
        shutil.copy(folder / f"{at % 13:02}/{at:04}.{('png', 'jpg', 'webp')[at % 3]}", folder / f"twin{at}")
    (folder / "cut.png").write_bytes((folder / "00/0000.png").read_bytes()[:500])


if __name__ == "__main__":
    main()
