"""Watching: real changes in real folders, each told as it is done; nothing waits but for what must come."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from isthmus.errors import InputError
from isthmus.photos import update as updating
from isthmus.photos import watch as watching
from isthmus.photos.index import index
from isthmus.photos.store import Library
from isthmus.photos.watch import Away, Back, Busy, Deaf, Happening, Indexed, watch

from .fakes import ColourEmbedder, paint, rows
from .test_cli import Run, cheap_models, run  # noqa: F401 - fixtures

DEADLINE = 120.0
"""Seconds, at which what must come is given up."""

HOUR = 3600.0

T = TypeVar("T", bound=Happening)


class Watcher:
    """`watch` in a thread of its own, and what it tells."""

    def __init__(self, library: Path, *folders: Path, every: float = HOUR) -> None:
        self._stop = threading.Event()
        self._told: queue.Queue[Happening | BaseException | None] = queue.Queue()
        self._thread = threading.Thread(target=self._watch, args=(library, folders, every))
        self._thread.start()

    def _watch(self, library: Path, folders: tuple[Path, ...], every: float) -> None:
        try:
            for happening in watch(library, folders, ColourEmbedder(), every=every, quiet=True, stop=self._stop.is_set):
                self._told.put(happening)
            self._told.put(None)
        except BaseException as error:  # noqa: BLE001 - for the test to see
            self._told.put(error)

    def next(self, kind: type[T]) -> T:
        """What it tells next, which must be of that kind."""
        told = self._told.get(timeout=DEADLINE)
        if isinstance(told, BaseException):
            raise told
        assert isinstance(told, kind), told
        return told

    def until(self, embedded: int = 0, gone: int = 0) -> list[Indexed]:
        """Passes until all of them together have done that; a change may be seen in two parts."""
        passes: list[Indexed] = []
        while (
            sum(each.report.embedded for each in passes) < embedded or sum(each.report.gone for each in passes) < gone
        ):
            passes.append(self.next(Indexed))
        assert sum(each.report.embedded for each in passes) == embedded
        assert sum(each.report.gone for each in passes) == gone
        return passes

    def end(self) -> None:
        self._stop.set()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "lib"


@pytest.fixture
def watcher(library: Path, folder: Path) -> Iterator[Watcher]:
    """It has made its first pass over five photos."""
    one = Watcher(library, folder)
    first = one.next(Indexed)
    assert (first.why, first.report.embedded) == ("start", 5)
    yield one
    one.end()


def test_what_comes_changes_and_goes_is_followed(watcher: Watcher, library: Path, folder: Path) -> None:
    paint(folder / "new/deep/black.png", "black", seed=9)
    assert all(each.why == "change" for each in watcher.until(embedded=1))
    (folder / "new/deep/black.png").rename(folder / "black.png")
    watcher.until(gone=1)
    (folder / "white.png").unlink()
    watcher.until(gone=1)
    paint(folder / "a/red.png", "red", seed=77)
    watcher.until(embedded=1)
    with Library.read(library) as store:
        present = store.query("SELECT count(*) FROM files WHERE gone_at IS NULL AND photo IS NOT NULL")
    assert present == [(5,)]


def test_many_files_at_once_are_few_passes(watcher: Watcher, folder: Path) -> None:
    for seed in range(40):
        paint(folder / f"card/{seed}.png", "green", seed=100 + seed)
    assert len(watcher.until(embedded=40)) <= 3


def test_the_library_is_free_between_passes_and_waited_for_where_it_is_not(
    watcher: Watcher, library: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    with Library.write(library) as store:
        paint(folder / "new.png", "black", seed=9)
        watcher.next(Busy)
        assert index(store, [folder], embedder, quiet=True).embedded == 1
    done = watcher.next(Indexed)
    assert (done.report.embedded, done.report.met) == (0, 6)


def test_a_folder_that_goes_is_waited_for_and_loses_nothing(watcher: Watcher, library: Path, folder: Path) -> None:
    before = rows(library)
    folder.rename(folder.with_name("unplugged"))
    assert watcher.next(Away).folder == folder
    assert rows(library) == before
    paint(folder.with_name("unplugged") / "meanwhile.png", "black", seed=9)
    folder.with_name("unplugged").rename(folder)
    assert watcher.next(Back).folder == folder
    assert watcher.next(Indexed).report.embedded == 1
    paint(folder / "later.png", "black", seed=10)  # and it listens there again
    watcher.until(embedded=1)


def test_a_known_folder_may_be_away_at_the_start_and_an_unknown_one_is_refused(
    library: Path, folder: Path, tmp_path: Path
) -> None:
    with Library.write(library) as store:
        index(store, [folder], ColourEmbedder(), quiet=True)
    folder.rename(tmp_path / "unplugged")
    one = Watcher(library, folder / "a")
    try:
        assert one.next(Away).folder == folder / "a"
        (tmp_path / "unplugged").rename(folder)
        one.next(Back)
        assert (one.next(Indexed).report.met) == 2
    finally:
        one.end()
    with pytest.raises(InputError, match="there is no folder"):
        next(watch(library, [tmp_path / "nowhere"], ColourEmbedder()))


def test_it_looks_every_so_often_where_no_events_come(
    library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import watchfiles

    def full(*_: object, **__: object) -> Iterator[set[object]]:
        raise OSError("OS file watch limit reached")
        yield set()

    monkeypatch.setattr(watchfiles, "watch", full)
    one = Watcher(library, folder, every=1.0)
    try:
        assert "limit" in one.next(Deaf).why
        assert one.next(Indexed).why == "start"
        paint(folder / "new.png", "black", seed=9)
        assert {each.why for each in one.until(embedded=1)} == {"time"}
    finally:
        one.end()


def test_what_the_library_writes_and_what_is_in_hidden_folders_is_no_change(folder: Path) -> None:
    (folder / ".trash").mkdir()
    library = folder / "lib"
    one = Watcher(library, folder)
    try:
        one.next(Indexed)
        paint(folder / ".trash/x.png", "black", seed=9)
        with Library.write(library) as store:
            store.register("ee" * 32, "test/another", 48)
        paint(folder / "seen.png", "black", seed=10)
        # The pass of the one that counts is the next, and none follows it.
        assert one.next(Indexed).report.embedded == 1
    finally:
        one.end()
    assert one._told.get(timeout=DEADLINE) is None


def test_names_that_are_not_text_are_changes_too(watcher: Watcher, tmp_path: Path, folder: Path) -> None:
    source = paint(tmp_path / "x.png", "black", seed=9)
    os.rename(os.fsencode(source), os.fsencode(folder) + b"/\xff.png")  # noqa: PTH104
    watcher.until(embedded=1)
    paint(folder / "later.png", "black", seed=10)
    watcher.until(embedded=1)


def test_a_folder_that_goes_during_a_pass_is_waited_for(
    library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = updating.index
    gone = iter([True])

    def unplugged(*given, **options):  # type: ignore[no-untyped-def]
        if next(gone, False):
            folder.rename(folder.with_name("unplugged"))
        return true(*given, **options)

    monkeypatch.setattr(updating, "index", unplugged)
    one = Watcher(library, folder)
    try:
        one.next(Away)
        folder.with_name("unplugged").rename(folder)
        one.next(Back)
        assert one.next(Indexed).report.embedded == 5
    finally:
        one.end()


# The command, in a process of its own


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_tells_a_line_a_pass_and_ends_well(tmp_path: Path, folder: Path, number: signal.Signals) -> None:
    code = """
import sys
from isthmus import contrastive
from isthmus.cli.main import app
from tests.photos.fakes import ColourEmbedder
contrastive.load_embedder = lambda *_, **__: ColourEmbedder()
app(["photos", *sys.argv[1:]])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "watch", folder, "--library", tmp_path / "lib", "--json", "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    giving_up = threading.Timer(DEADLINE, process.kill)
    giving_up.start()
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["what"], first["why"], first["embedded"]) == ("indexed", "start", 5)
        paint(folder / "new.png", "black", seed=9)
        lines = iter(lambda: json.loads(process.stdout.readline()), None)  # type: ignore[union-attr]
        assert next(line for line in lines if line["embedded"])["why"] == "change"
        process.send_signal(number)
        _, err = process.communicate(timeout=DEADLINE)
    finally:
        giving_up.cancel()
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert err.splitlines() == ["stopping after this batch (once more: at once)"]
    assert len(rows(tmp_path / "lib")["vectors"]) == 6


@pytest.mark.parametrize("every", ["0s", "soon", "-1m", "10"])
def test_no_time_and_no_folder_are_one_line(run: Run, tmp_path: Path, folder: Path, every: str) -> None:  # noqa: F811
    code, _, err = run("watch", folder, "--every", every, "--library", tmp_path / "lib")
    assert (code, err) == (2, f"isthmus: --every {every} is no time (give it as 30s, 10m or 2h)\n")
    assert run("watch", tmp_path / "nowhere", "--library", tmp_path / "lib")[0] == 2
    assert not (tmp_path / "lib").exists()


def test_without_watchfiles_it_is_said_what_to_install(
    run: Run,  # noqa: F811
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "find_spec", lambda _: None)
    code, _, err = run("watch", folder, "--library", tmp_path / "lib")
    assert (code, err) == (2, "isthmus: watching folders needs watchfiles (pip install 'isthmus[watch]')\n")
