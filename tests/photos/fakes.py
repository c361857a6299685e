"""A cheap embedder in a real colour space, so that searches mean something, and pictures to go with it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from isthmus.images.fits import Squash
from isthmus.images.views import Views

if TYPE_CHECKING:
    import sqlite3

    from torch import Tensor

COLOURS = {
    "red": (200, 20, 20),
    "green": (20, 160, 30),
    "blue": (20, 40, 200),
    "yellow": (230, 220, 30),
    "black": (5, 5, 5),
    "white": (250, 250, 250),
}


@dataclass
class ColourEmbedder:
    """Pictures by the mean colour of a 4 x 4 grid; "red" is what a red picture would be. Exact for any batch."""

    name: str = "test/colour"
    fingerprint: str = "c0" * 32
    dim: int = 48
    languages: frozenset[str] | None = None
    fit: Squash = field(default_factory=lambda: Squash(size=4, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)))
    batches: list[int] = field(default_factory=list)

    def images(self, views: Sequence[Views]) -> "Tensor":
        import torch

        return torch.from_numpy(self.vectors(views))

    def texts(self, texts: Sequence[str]) -> "Tensor":
        import torch

        rows = []
        for text in texts:
            colour = next((rgb for name, rgb in COLOURS.items() if name in text), (127, 127, 127))
            rows.append(_unit(np.repeat(np.array(colour, np.float32) / 127.5 - 1, 16)))
        return torch.from_numpy(np.stack(rows))

    def vectors(self, views: Sequence[Views]) -> np.ndarray:
        """[B, dim] float32, without torch."""
        self.batches.append(len(views))
        return np.stack([_unit(one.views[0].pixels.reshape(-1)) for one in views])


def _unit(values: np.ndarray) -> np.ndarray:
    # A last number that is never 0: grey has a direction too.
    vector = np.concatenate([values[:-1], [0.1]]).astype(np.float64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def paint(
    path: Path, colour: str | tuple[int, int, int] = "red", size: tuple[int, int] = (64, 48), seed: int = 0
) -> Path:
    """A picture of about one colour; another `seed`, another content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = COLOURS[colour] if isinstance(colour, str) else colour
    noise = np.random.default_rng(seed).integers(-12, 13, (size[1], size[0], 3))
    Image.fromarray((np.array(rgb) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def rows(library: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that a library says about files and photos, free of ids and times: to compare two libraries."""
    import sqlite3

    database = sqlite3.connect(library / "library.sqlite")
    try:
        return {
            "files": database.execute(
                """SELECT r.path, f.path, f.size, f.mtime_ns, p.hash, f.reason, f.gone_at IS NOT NULL FROM files f
                JOIN roots r ON r.id = f.root LEFT JOIN photos p ON p.id = f.photo ORDER BY 1, 2"""
            ).fetchall(),
            "vectors": database.execute(
                """SELECT m.fingerprint, p.hash, p.width, p.height, v.vector FROM vectors v
                JOIN photos p ON p.id = v.photo JOIN models m ON m.id = v.model ORDER BY 1, 2"""
            ).fetchall(),
            "photos": database.execute("SELECT hash, width, height FROM photos ORDER BY 1").fetchall(),
            "facts": database.execute(
                """SELECT r.path, f.path, t.version, t.sidecar, t.taken, t.taken_from, t.kinds, t.problems FROM facts t
                JOIN files f ON f.id = t.file JOIN roots r ON r.id = f.root ORDER BY 1, 2"""
            ).fetchall(),
            "prints": database.execute(
                "SELECT p.hash, r.version, r.dhash, r.grey FROM prints r JOIN photos p ON p.id = r.photo ORDER BY 1"
            ).fetchall(),
            "tags": database.execute(
                """SELECT f.path, t.kind, t.value FROM tags t JOIN files f ON f.id = t.file
                ORDER BY 1, t.rowid"""
            ).fetchall(),
        }
    finally:
        database.close()


def before_prints(file: Path) -> None:
    """A library as an Isthmus that knew no prints and no clips would have left it."""
    import sqlite3

    from isthmus.photos.schema import MIGRATIONS

    database = sqlite3.connect(file)
    step_back(database, next(at for at, step in enumerate(MIGRATIONS) if any(" prints " in made for made in step)))
    database.close()


def digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def step_back(database: "sqlite3.Connection", version: int) -> None:
    """Take from a library what came after that version, as if it had been made by it."""
    import sqlite3

    from isthmus.photos.schema import MIGRATIONS, migrate

    older = sqlite3.connect(":memory:", isolation_level=None)
    migrate(older, MIGRATIONS[:version])
    names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY sql NOT LIKE 'CREATE VIRTUAL%'"
    kept = {name for (name,) in older.execute(names)}
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    for (name,) in set(database.execute(triggers)) - set(older.execute(triggers)):
        database.execute(f"DROP TRIGGER {name}")
    for (name,) in database.execute(names).fetchall():
        # A virtual table takes those it is made of with it.
        if name not in kept and (name,) in database.execute(names).fetchall():
            database.execute(f"DROP TABLE {name}")
    for name in kept:
        columns = f"SELECT name FROM pragma_table_info('{name}')"
        for (column,) in set(database.execute(columns)) - set(older.execute(columns)):
            database.execute(f"ALTER TABLE {name} DROP COLUMN {column}")
    database.execute(f"PRAGMA user_version = {version}")
