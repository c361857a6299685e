"""kill -9 at many random moments of the clock, then to the end: nothing lost, nothing doubled.

Four kinds of work with a model of no weight on generated pictures: indexing a folder; watching one that changes
meanwhile; another model that comes to serve; giving names. A process does the work, is killed at a random moment of its
life (start and end included) and started again on the same library, until it has been killed as often as wanted. After
each kill the library is read and checked; in the end it must equal, row for row and vector for vector, one that was
never interrupted. Whenever a work comes to its end before it is killed, it is compared and begun anew, so that kills
fall into all its stages.

    python -m benchmarks.kills [--kills 200] [--of index watch model names] [--photos 300] [--seed 0] [--json]
"""

import argparse
import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import show
from tests.photos.fakes import paint, rows

from isthmus.photos.report import coverage
from isthmus.photos.store import FILE, Library

REPOSITORY = Path(__file__).parents[1]
WORKS = ("index", "watch", "model", "names")

Rows = dict[str, list[tuple[object, ...]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="over all kinds of work")
    parser.add_argument("--of", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    table, notes = [], []
    faults = 0
    for at, work in enumerate(options.of):
        kills = options.kills // len(options.of) + (at < options.kills % len(options.of))
        with tempfile.TemporaryDirectory() as name:
            base = Path(name)
            make_photos(base / "photos", options.photos)
            ended, broken, whole = (watched if work == "watch" else worked)(work, base, kills, moments)
        table.append(
            {"work": work, "kills": kills, "came to its end": ended, "takes, s": round(whole, 1), "faults": len(broken)}
        )
        notes += [f"{work}: {each}" for each in broken]
        faults += len(broken)
    notes = notes or ["every library was sound after each kill, and ended with the rows and vectors of an unbroken one"]
    show("kill -9", table, notes, options.json)
    sys.exit(1 if faults else 0)


def worked(work: str, base: Path, kills: int, moments: random.Random) -> tuple[int, list[str], float]:
    """How often it came to its end, what was wrong, and seconds of an unbroken run."""
    photos = base / "photos"
    told = {"index": str(photos), "model": "--swap", "names": f"--name={photos / '00'}"}[work]
    if work != "index":
        assert run(base / "start", str(photos)) == 0

    def begin(library: Path) -> None:
        shutil.rmtree(library, ignore_errors=True)
        if work != "index":
            shutil.copytree(base / "start", library)

    begin(base / "unbroken")
    start = time.perf_counter()
    assert run(base / "unbroken", told) == 0
    whole = time.perf_counter() - start
    truth = everything(base / "unbroken")
    killed, ended, broken = 0, 0, []
    begin(base / "broken")
    while killed < kills:
        code = run(base / "broken", told, moments.uniform(0.05, 1.0) * whole)
        if code == 0:
            ended += 1
            broken += compare(everything(base / "broken"), truth)
            begin(base / "broken")
            continue
        killed += 1
        broken += sound(base / "broken")
    assert run(base / "broken", told) == 0
    return ended + 1, broken + compare(everything(base / "broken"), truth), whole


def watched(_: str, base: Path, kills: int, moments: random.Random) -> tuple[int, list[str], float]:
    """As `worked`; while it watches, files come, go, change and move."""
    photos = base / "photos"
    start = time.perf_counter()
    assert run(base / "unbroken", str(photos)) == 0
    whole = time.perf_counter() - start
    broken = []
    for at in range(kills):
        # It hears of a change, waits a second for the next one, and indexes: so it lives a little longer than a pass.
        life = moments.uniform(0.05, 1.0) * whole + moments.choice((0, 1.5))
        change = moments.uniform(0, life)
        run(base / "broken", f"--watch={photos}", life, (change, lambda at=at: disturb(photos, at, moments)))
        broken += sound(base / "broken")
    assert run(base / "broken", str(photos)) == 0
    assert run(base / "afresh", str(photos)) == 0
    found, truth = everything(base / "broken"), everything(base / "afresh")
    # What is gone stays in a library that has seen it.
    there = {row[1] for row in truth["files"]}
    found["files"] = [row for row in found["files"] if row[1] in there]
    for table in ("vectors", "photos", "prints"):
        kept = set(truth[table])
        lost = [row for row in truth[table] if row not in set(found[table])]
        found[table] = [row for row in found[table] if row in kept] if not lost else found[table]
    return 1, broken + compare(found, truth, only=("files", "vectors", "photos", "prints")), whole


def disturb(photos: Path, at: int, moments: random.Random) -> None:
    files = sorted(path for path in photos.rglob("*") if path.is_file())
    some = moments.choice(files)
    match at % 4:
        case 0:
            paint(photos / f"new/{at}.png", size=(160, 120), seed=10_000 + at)
        case 1:
            some.rename(photos / f"moved{at}{some.suffix}")
        case 2:
            some.unlink()
        case _:
            shutil.copy(some, photos / f"copy{at}{some.suffix}")


def run(
    library: Path, told: str, seconds: float | None = None, disturbed: tuple[float, Callable[[], None]] | None = None
) -> int:
    """The exit code; the process is killed after so many seconds, and something is done after some of them."""
    command = [sys.executable, "-m", "tests.photos.run_index", str(library), told]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        if disturbed is not None and seconds is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(disturbed[0])
            disturbed[1]()
            seconds -= disturbed[0]
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def sound(library: Path) -> list[str]:
    """What is wrong with a library right after a kill."""
    if not (library / FILE).exists() or (library / FILE).stat().st_size == 0:
        return []
    try:
        with Library.read(library) as store:
            store.check()
            found = coverage(store)
            served = [model for model in store.models() if model.generation]
            vectors = (
                store.query("SELECT count(*) FROM vectors WHERE model = ?", (served[0].id,))[0][0] if served else 0
            )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return [] if "there is no photo library" in str(error) else [f"after a kill: {error}"]
    return [] if vectors >= found.photos else [f"after a kill: {vectors} vectors for {found.photos} photos"]


def everything(library: Path) -> Rows:
    """All that a library says, free of ids and times."""
    with contextlib.closing(sqlite3.connect(library / FILE)) as database:
        names = {
            "examples": """SELECT n.name, e.wrong, e.boxed, e.picture, v.vectors FROM examples e
                JOIN names n ON n.id = e.name JOIN example_vectors v ON v.example = e.id ORDER BY 1, 2, 4""",
            "named": """SELECT n.name, p.hash, m.score, m.part FROM named m JOIN names n ON n.id = m.name
                JOIN photos p ON p.id = m.photo ORDER BY 1, 2""",
            "models": "SELECT fingerprint, used_at > 0 FROM models ORDER BY 1",
        }
        return rows(library) | {table: database.execute(query).fetchall() for table, query in names.items()}


def compare(found: Rows, truth: Rows, only: tuple[str, ...] | None = None) -> list[str]:
    return [
        f"{table}: {len(found[table])} rows, {len(truth[table])} expected"
        for table in only or truth
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
