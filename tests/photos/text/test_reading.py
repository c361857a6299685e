"""The pass over a library: everything once, in its order, whatever becomes of files and processes meanwhile."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from isthmus.errors import InputError
from isthmus.images.views import Picture
from isthmus.photos import schema
from isthmus.photos.facts import PAGE_LINES
from isthmus.photos.report import coverage
from isthmus.photos.search import search
from isthmus.photos.store import FILE, Library
from isthmus.photos.text import kept
from isthmus.photos.text.find import matches
from isthmus.photos.text.lines import Line
from isthmus.photos.text.reading import TOGETHER, ReadingReport, read_text, waiting

from ..fakes import ColourEmbedder, paint, step_back
from ..test_index import run
from .fakes import Colours

REPOSITORY = Path(__file__).parents[3]


def read(library: Path, reader: Colours | None = None, workers: int = 1) -> ReadingReport:
    with Library.write(library) as store:
        return read_text(store, reader or Colours(), workers=workers, quiet=True)


def texts(library: Path) -> list[tuple[object, ...]]:
    """All that was read, free of ids."""
    with Library.read(library) as store:
        store.check()
        return store.query(
            """SELECT p.hash, t.version, t.engine, t.words, t.run, l.line, l.text, l.confidence, l.x, l.y, l.w, l.h
            FROM texts t JOIN photos p ON p.id = t.photo LEFT JOIN text_lines l ON l.photo = t.photo ORDER BY 1, 6"""
        )


def is_whole(library: Path) -> bool:
    """The indexes hold what the tables do."""
    database = sqlite3.connect(library / FILE)
    try:
        for index in ("text_words", "text_runs"):
            database.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
        orphans = database.execute("SELECT count(*) FROM text_lines WHERE photo NOT IN (SELECT photo FROM texts)")
        return bool(orphans.fetchone()[0] == 0)
    finally:
        database.close()


def test_what_was_read_is_found_and_counted(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    lib = tmp_path / "lib"
    run(lib, folder, embedder=embedder)
    report = read(lib)
    assert (report.read, report.with_text, report.lines, report.left) == (5, 4, 8, 0)
    with Library.read(lib) as store:
        found = search(store, embedder, 'photos with the text "green"', now=datetime(2024, 5, 1))
        assert [Path(hit.path).name for hit in found.hits] == ["green.png"]
        assert coverage(store).text_read == coverage(store).photos == 5
    again = Colours()
    assert read(lib, again).read == 0
    assert not again.read_so_far
    assert is_whole(lib)


def test_a_page_of_text_is_a_document(tmp_path: Path, embedder: ColourEmbedder) -> None:
    photos = tmp_path / "p"
    for name, colour in (("a.png", "red"), ("Screenshot_20240102-030405.png", "blue"), ("z.png", "green")):
        paint(photos / name, colour)
    lib = tmp_path / "lib"
    run(lib, photos, embedder=embedder)

    class Pages(Colours):
        """Of all but green ones many lines."""

        def read(self, picture: Picture) -> tuple[Line, ...]:
            lines = super().read(picture)
            return lines if lines[-1].text == "green" else lines * (PAGE_LINES // 2)

    def found(store: Library) -> list[str]:
        return [Path(hit.path).name for hit in search(store, embedder, "documents").hits]

    with Library.read(lib) as store:
        assert found(store) == []
    read(lib, Pages())
    with Library.read(lib) as store:
        assert found(store) == ["a.png"]


def test_documents_and_screenshots_are_read_first(tmp_path: Path, embedder: ColourEmbedder) -> None:
    photos = tmp_path / "p"
    for name, colour in (("a.png", "red"), ("Screenshot_20240102-030405.png", "blue"), ("z.png", "green")):
        paint(photos / name, colour)
    lib = tmp_path / "lib"
    run(lib, photos, embedder=embedder)
    reader = Colours()
    read(lib, reader)
    assert reader.read_so_far == ["blue", "red", "green"] or reader.read_so_far == ["blue", "green", "red"]


def test_stopped_it_saves_what_it_read_and_goes_on_there(tmp_path: Path, embedder: ColourEmbedder) -> None:
    photos, lib = tmp_path / "p", tmp_path / "lib"
    for seed in range(2 * TOGETHER + 3):
        paint(photos / f"{seed}.png", "red", seed=seed)
    run(lib, photos, embedder=embedder)
    first, second = Colours(), Colours()
    with Library.write(lib) as store:
        report = read_text(store, first, workers=1, quiet=True, stop=lambda: len(first.read_so_far) >= TOGETHER + 1)
        assert report.stopped
        assert report.left == 2 * TOGETHER + 3 - len(first.read_so_far) == len(waiting(store))
    assert read(lib, second).left == 0
    assert len(first.read_so_far) + len(second.read_so_far) == 2 * TOGETHER + 3


def test_what_is_not_there_is_left_for_another_time(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    lib = tmp_path / "lib"
    run(lib, folder, embedder=embedder)
    away = tmp_path / "away"
    folder.rename(away)
    report = read(lib)
    assert (report.read, report.left, dict(report.postponed)) == (0, 5, {"missing": 5})
    away.rename(folder)
    paint(folder / "a/red.png", "blue", seed=99)  # not what was indexed: its text is not the photo's
    (folder / "b/deep/green.png").unlink()
    report = read(lib)
    assert (report.read, report.left, dict(report.postponed)) == (3, 2, {"changed": 1, "missing": 1})


def test_a_copy_stands_in_for_a_file_that_went(tmp_path: Path, embedder: ColourEmbedder) -> None:
    first = paint(tmp_path / "p/a.png", "red")
    shutil.copy(first, tmp_path / "p/b.png")
    run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    first.unlink()
    assert read(tmp_path / "lib").read == 1


def test_names_that_are_not_text(tmp_path: Path, embedder: ColourEmbedder) -> None:
    path = paint(tmp_path / "p/a.png", "red")
    try:
        path.rename(path.with_name(os.fsdecode(b"\xff\xfe \n.png")))
    except OSError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    assert read(tmp_path / "lib").with_text == 1


def test_one_picture_that_breaks_the_reader_is_one_pictures_trouble(tmp_path: Path, embedder: ColourEmbedder) -> None:
    paint(tmp_path / "p/a.png", "black")
    paint(tmp_path / "p/b.png", "red")
    run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    report = read(tmp_path / "lib", workers=2)
    assert (report.read, dict(report.postponed)) == (1, {"error: RuntimeError": 1})


def test_an_older_reading_is_read_again(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = tmp_path / "lib"
    run(lib, folder, embedder=embedder)
    read(lib)
    monkeypatch.setattr(kept, "VERSION", kept.VERSION + 1)
    with Library.read(lib) as store:
        assert coverage(store).text_read == 0
    assert read(lib).read == 5
    assert is_whole(lib)


def test_a_library_without_text_takes_it_up(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    lib = tmp_path / "lib"
    run(lib, folder, embedder=embedder)
    database = sqlite3.connect(lib / FILE)
    step_back(database, 2)
    database.close()
    with pytest.raises(InputError, match="older version"):
        Library.read(lib)
    assert read(lib).read == 5
    with Library.read(lib) as store:
        assert store.query("PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
        assert len(matches(store, "a picture")) == 4


def test_only_one_process_writes(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    lib = tmp_path / "lib"
    run(lib, folder, embedder=embedder)
    with Library.write(lib):
        other = subprocess.run(
            [sys.executable, "-m", "tests.photos.text.run_text", str(lib)],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert "is in use" in other.stderr


def test_no_workers_is_refused(tmp_path: Path) -> None:
    with Library.write(tmp_path / "lib") as store, pytest.raises(InputError, match="0 workers"):
        read_text(store, Colours(), workers=0)


def test_killed_at_random_moments_it_ends_as_an_unbroken_one(tmp_path: Path, embedder: ColourEmbedder) -> None:
    photos = tmp_path / "p"
    for seed in range(6 * TOGETHER):
        paint(photos / f"{seed}.png", ("red", "green", "white", "blue")[seed % 4], size=(32, 24), seed=seed)
    run(tmp_path / "start", photos, embedder=embedder)
    for name in ("broken", "unbroken"):
        shutil.copytree(tmp_path / "start", tmp_path / name)

    def reading(library: str, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.photos.text.run_text", str(tmp_path / library), str(kill_at)]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    statements = int(reading("unbroken").stdout)
    moments = random.Random(4)
    for kill_at in (moments.randint(2, statements // 2) for _ in range(4)):
        killed = reading("broken", kill_at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert is_whole(tmp_path / "broken")
    last = reading("broken")
    assert last.returncode == 0, last.stderr
    assert texts(tmp_path / "broken") == texts(tmp_path / "unbroken")
    assert is_whole(tmp_path / "broken")
