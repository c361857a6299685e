"""A process killed at any moment leaves a library that the next run completes: nothing lost, nothing doubled."""

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from isthmus.photos.store import Library

from .fakes import paint, rows
from .metadata import samples

REPOSITORY = Path(__file__).parents[2]


def run(library: Path, folder: Path, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.photos.run_index", str(library), str(folder), str(kill_at)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_killed_at_random_moments_the_index_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for seed in range(80):
        paint(photos / f"{seed % 7}/{seed}.png", size=(32, 24), seed=seed)
    for twin in range(10):
        shutil.copy(photos / f"{twin % 7}/{twin}.png", photos / f"twin{twin}.png")
    for seed in range(0, 80, 9):
        said = samples.bag("dc:subject", f"word {seed}", "another")
        (photos / f"{seed % 7}/{seed}.xmp").write_bytes(samples.xmp(said, 'xmp:Rating="4"'))
    (photos / "words.jpg").write_bytes(b"words")
    unbroken = run(tmp_path / "unbroken", photos)
    statements = int(unbroken.stdout)
    moments = random.Random(5)
    # One in the walk, then anywhere in what is left; the last run ends by itself.
    kills = [moments.randint(1, 40), *(moments.randint(40, statements // 2) for _ in range(3))]
    for kill_at in kills:
        killed = run(tmp_path / "broken", photos, kill_at)
        assert killed.returncode == -signal.SIGKILL
        with Library.read(tmp_path / "broken") as library:
            library.check()
    last = run(tmp_path / "broken", photos)
    assert last.returncode == 0, last.stderr
    assert rows(tmp_path / "broken") == rows(tmp_path / "unbroken")
    assert len(rows(tmp_path / "broken")["tags"]) == 18
    leftover = {path.name for path in (tmp_path / "broken").iterdir()} - {
        path.name for path in (tmp_path / "unbroken").iterdir()
    }
    assert not leftover
