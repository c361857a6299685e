from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from isthmus.photos.store import Library
from isthmus.photos.text import kept
from isthmus.photos.text.lines import Line


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.write(tmp_path / "lib") as store:
        yield store


@pytest.fixture
def keep(library: Library) -> Callable[..., int]:
    """Adds a photo in which these lines were read, below each other; its number."""

    def add(*texts: str, photo: int = 0) -> int:
        photo = photo or 1 + library.query("SELECT coalesce(max(id), 0) FROM photos")[0][0]
        lines = [Line(text, 0.9, 0.1, 0.1 * at, 0.5, 0.08) for at, text in enumerate(texts)]
        with library.transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO photos (id, hash, width, height, added_at) VALUES (?, ?, 9, 9, 0)",
                (photo, photo.to_bytes(32)),
            )
            kept.write(database, photo, lines, "test")
        return photo

    return add
