"""Indexing: what is read, what is not read again, what is lost (nothing)."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from isthmus.errors import InputError
from isthmus.images.views import Views
from isthmus.photos import read
from isthmus.photos.index import IndexReport, index
from isthmus.photos.report import coverage, unread_files
from isthmus.photos.search import search
from isthmus.photos.store import Library

from .fakes import COLOURS, ColourEmbedder, paint, rows


def run(library: Path, *folders: Path, embedder: ColourEmbedder, **options: int) -> IndexReport:
    with Library.write(library) as store:
        return index(store, folders, embedder, quiet=True, **options)


def test_every_photo_gets_a_vector_and_an_unchanged_folder_is_not_read_again(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    first = run(tmp_path / "lib", folder, embedder=embedder, batch=2)
    assert (first.met, first.embedded, first.left) == (5, 5, 0)
    assert embedder.batches == [2, 2, 1]
    before = rows(tmp_path / "lib")
    second = run(tmp_path / "lib", folder, embedder=embedder)
    assert (second.met, second.embedded, second.known) == (5, 0, 0)
    assert embedder.batches == [2, 2, 1]
    assert rows(tmp_path / "lib") == before


def test_the_vectors_do_not_depend_on_batch_and_threads(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "one", folder, embedder=embedder, batch=1, workers=1)
    run(tmp_path / "many", folder, embedder=embedder, batch=4, workers=7)
    assert rows(tmp_path / "one") == rows(tmp_path / "many")


def test_a_renamed_file_and_a_moved_folder_keep_their_vectors(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    vectors = rows(tmp_path / "lib")["vectors"]
    (folder / "white.png").rename(folder / "blanc.png")
    (folder / "b").rename(folder / "c")
    report = run(tmp_path / "lib", folder, embedder=embedder)
    assert (report.embedded, report.known, report.gone) == (0, 3, 3)
    assert rows(tmp_path / "lib")["vectors"] == vectors
    with Library.read(tmp_path / "lib") as library:
        assert Path(search(library, embedder, "green", 1).hits[0].path) == folder / "c/deep/green.png"


def test_a_whole_root_that_moves_is_not_embedded_again(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    folder.rename(tmp_path / "elsewhere")
    report = run(tmp_path / "lib", tmp_path / "elsewhere", embedder=embedder)
    assert (report.embedded, report.known) == (0, 5)
    with Library.read(tmp_path / "lib") as library:
        hit = search(library, embedder, "red", 1).hits[0]
        assert (Path(hit.path), hit.available) == (tmp_path / "elsewhere/a/red.png", True)


def test_equal_files_are_embedded_once_however_they_arrive(tmp_path: Path, embedder: ColourEmbedder) -> None:
    paint(tmp_path / "p/000.png", "red")
    for copy in range(1, 600):  # more than are saved at once
        shutil.copy(tmp_path / "p/000.png", tmp_path / f"p/{copy:03}.png")
    report = run(tmp_path / "lib", tmp_path / "p", embedder=embedder, workers=4)
    assert (report.embedded, report.known, report.left) == (1, 599, 0)
    assert len(rows(tmp_path / "lib")["vectors"]) == 1


def test_equal_files_that_cannot_be_read_are_each_listed(tmp_path: Path, embedder: ColourEmbedder) -> None:
    whole = paint(tmp_path / "whole.png").read_bytes()
    (tmp_path / "p").mkdir()
    for copy in range(40):
        (tmp_path / f"p/{copy}.png").write_bytes(whole[: len(whole) // 2])
    report = run(tmp_path / "lib", tmp_path / "p", embedder=embedder, workers=4)
    assert dict(report.unread) == {"truncated": 40}
    assert report.left == 0


def test_an_edited_file_is_read_again_and_its_old_content_found_no_more(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    paint(folder / "a/red.png", "black", size=(50, 50))
    report = run(tmp_path / "lib", folder, embedder=embedder)
    assert (report.embedded, report.known) == (1, 0)
    with Library.read(tmp_path / "lib") as library:
        hits = search(library, embedder, "black", 10).hits
    assert Path(hits[0].path) == folder / "a/red.png"
    assert (hits[0].width, hits[0].height) == (50, 50)
    assert len(hits) == 5


def test_a_deleted_file_is_gone_and_comes_back_without_the_model(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    kept = tmp_path / "kept.jpg"
    (folder / "a/blue.jpg").rename(kept)
    assert run(tmp_path / "lib", folder, embedder=embedder).gone == 1
    with Library.read(tmp_path / "lib") as library:
        assert coverage(library).gone == 1
        assert "blue.jpg" not in {Path(hit.path).name for hit in search(library, embedder, "blue", 10).hits}
    kept.rename(folder / "a/blue.jpg")
    report = run(tmp_path / "lib", folder, embedder=embedder)
    assert (report.embedded, report.known, report.left) == (0, 0, 0)
    with Library.read(tmp_path / "lib") as library:
        assert Path(search(library, embedder, "blue", 1).hits[0].path).name == "blue.jpg"


def test_an_emptied_mount_point_marks_nothing_gone(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    before = rows(tmp_path / "lib")
    folder.rename(tmp_path / "unplugged")
    folder.mkdir()
    report = run(tmp_path / "lib", folder, embedder=embedder)
    assert report.unmounted == [os.fsencode(folder)]
    assert report.gone == 0
    assert rows(tmp_path / "lib") == before


def test_a_missing_folder_is_refused_and_changes_nothing(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    before = rows(tmp_path / "lib")
    folder.rename(tmp_path / "unplugged")
    with pytest.raises(InputError, match="there is no folder"):
        run(tmp_path / "lib", folder, embedder=embedder)
    assert rows(tmp_path / "lib") == before
    with Library.read(tmp_path / "lib") as library:
        hits = search(library, embedder, "red", 10).hits
    assert len(hits) == 5
    assert not any(hit.available for hit in hits)


def test_a_folder_that_goes_away_on_the_way_keeps_what_was_done(tmp_path: Path, folder: Path) -> None:
    class Unplugging(ColourEmbedder):
        def images(self, views: Sequence[Views]) -> Tensor:
            if folder.exists():
                folder.rename(tmp_path / "unplugged")
            return super().images(views)

    for seed in range(100):
        paint(folder / f"{seed:03}.png", seed=1000 + seed)
    with pytest.raises(InputError, match="went away"):
        run(tmp_path / "lib", folder, embedder=Unplugging(), batch=4)
    found = rows(tmp_path / "lib")
    assert 4 <= len(found["vectors"]) < 105
    assert not any(gone for *_, gone in found["files"])
    (tmp_path / "unplugged").rename(folder)
    run(tmp_path / "lib", folder, embedder=ColourEmbedder())
    run(tmp_path / "unbroken", folder, embedder=ColourEmbedder())
    assert rows(tmp_path / "lib") == rows(tmp_path / "unbroken")


def test_a_stop_saves_what_is_in_hand_and_the_next_run_does_only_the_rest(tmp_path: Path) -> None:
    class Stopping(ColourEmbedder):
        def stop(self) -> bool:
            return len(self.batches) >= 3

    for seed in range(60):
        paint(tmp_path / f"p/{seed}.png", seed=seed)
    embedder = Stopping()
    with Library.write(tmp_path / "lib") as library:
        report = index(library, [tmp_path / "p"], embedder, batch=4, quiet=True, stop=embedder.stop)
    assert report.stopped
    assert report.embedded == len(rows(tmp_path / "lib")["vectors"])
    assert report.embedded + report.left == 60
    rest = run(tmp_path / "lib", tmp_path / "p", embedder=ColourEmbedder())
    assert rest.embedded == report.left


def test_a_stop_during_the_walk_marks_nothing_gone(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    (folder / "white.png").unlink()
    with Library.write(tmp_path / "lib") as library:
        report = index(library, [folder], embedder, quiet=True, stop=lambda: True)
    assert report.gone == 0


def test_a_second_model_embeds_all_and_the_first_is_kept(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    shutil.copy(folder / "white.png", folder / "copy.png")
    other = ColourEmbedder(name="test/other", fingerprint="ff" * 32)
    report = run(tmp_path / "lib", folder, embedder=other)
    assert (report.embedded, report.known) == (5, 1)
    found = rows(tmp_path / "lib")["vectors"]
    assert [row[0] for row in found] == [embedder.fingerprint] * 5 + [other.fingerprint] * 5


def test_what_cannot_be_read_is_listed_and_tried_again_only_when_it_changes(
    tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "p"
    photos.mkdir()
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "words.jpg").write_bytes(b"these are words")
    (photos / "cut.png").write_bytes(paint(tmp_path / "whole.png").read_bytes()[:300])
    report = run(tmp_path / "lib", photos, embedder=embedder)
    assert dict(report.unread) == {"empty": 1, "not a picture": 1, "truncated": 1}
    opened: list[int] = []
    look = read.Reader.read
    monkeypatch.setattr(read.Reader, "read", lambda self, pending: opened.append(pending.id) or look(self, pending))
    again = run(tmp_path / "lib", photos, embedder=embedder)
    assert (opened, dict(again.unread)) == ([], {})
    paint(photos / "cut.png", "green")
    assert run(tmp_path / "lib", photos, embedder=embedder).embedded == 1
    with Library.read(tmp_path / "lib") as library:
        assert {(Path(f.path).name, f.reason) for f in unread_files(library)} == {
            ("empty.jpg", "empty"),
            ("words.jpg", "not a picture"),
        }


def test_new_software_tries_unread_files_again(
    tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/words.jpg").write_bytes(b"these are words")
    run(tmp_path / "lib", tmp_path / "p", embedder=embedder)
    monkeypatch.setattr("isthmus.photos.index.reader_name", lambda: "isthmus 99")
    assert dict(run(tmp_path / "lib", tmp_path / "p", embedder=embedder).unread) == {"not a picture": 1}


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def growing(*_: object) -> str:
        with (folder / "white.png").open("ab") as file:
            file.write(b"x")
        return "PNG"

    with monkeypatch.context() as patch:
        patch.setattr(read, "sniff", growing)
        report = run(tmp_path / "lib", folder, embedder=embedder, workers=1)
    assert report.unread["changing"] == 1
    assert dict(run(tmp_path / "lib", folder, embedder=embedder).unread) == {}


def test_files_that_vanish_between_walk_and_read_are_gone(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = read.Reader.read

    def late(self: read.Reader, pending: read.Pending) -> object:
        Path(os.fsdecode(pending.path)).unlink()
        return look(self, pending)

    monkeypatch.setattr(read.Reader, "read", late)
    report = run(tmp_path / "lib", folder, embedder=embedder)
    assert (report.gone, report.embedded, report.left) == (5, 0, 0)


def test_a_decoder_that_fails_unexpectedly_costs_one_file(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_open = read.open_picture

    def failing(data: bytes, **options: int) -> object:
        if data[:4] == b"RIFF":
            raise ZeroDivisionError("surprise")
        return true_open(data, **options)

    monkeypatch.setattr(read, "open_picture", failing)
    report = run(tmp_path / "lib", folder, embedder=embedder)
    assert (report.embedded, dict(report.unread)) == (4, {"error": 1})


def test_vectors_that_are_not_finite_are_never_stored(tmp_path: Path, folder: Path) -> None:
    class Broken(ColourEmbedder):
        def images(self, views: Sequence[Views]) -> Tensor:
            made = super().images(views)
            made[0] = torch.nan
            return made

    report = run(tmp_path / "lib", folder, embedder=Broken())
    assert (report.embedded, dict(report.unread)) == (4, {"error": 1})


def test_a_big_picture_is_decoded_all_the_same(
    tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "BIG_PICTURE", 1000)
    monkeypatch.setattr(read, "BIG_FILE", 10)
    paint(tmp_path / "p/a.png", seed=1)
    paint(tmp_path / "p/b.png", seed=2)
    assert run(tmp_path / "lib", tmp_path / "p", embedder=embedder, workers=2).embedded == 2


def test_folders_inside_each_other_list_no_file_twice(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "inner first", folder / "b", embedder=embedder)
    report = run(tmp_path / "inner first", folder, embedder=embedder)
    assert (report.embedded, report.known) == (3, 0)
    run(tmp_path / "outer first", folder, embedder=embedder)
    report = run(tmp_path / "outer first", folder / "b", embedder=embedder)
    assert (report.met, report.embedded, report.gone) == (2, 0, 0)
    run(tmp_path / "together", folder / "b", folder, folder / "a", embedder=embedder)
    assert rows(tmp_path / "inner first") == rows(tmp_path / "outer first") == rows(tmp_path / "together")


def test_a_part_of_a_root_marks_only_its_own_files_gone(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    run(tmp_path / "lib", folder, embedder=embedder)
    (folder / "a/red.png").unlink()
    (folder / "b/yellow.webp").unlink()
    assert run(tmp_path / "lib", folder / "b", embedder=embedder).gone == 1


def test_a_library_inside_the_photos_does_not_index_itself(folder: Path, embedder: ColourEmbedder) -> None:
    report = run(folder / "index", folder, embedder=embedder)
    assert (report.embedded, dict(report.unread)) == (5, {})
    assert (run(folder / "index", folder, embedder=embedder).met) == 6


def test_bad_counts_are_refused(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    with pytest.raises(InputError, match="counts"):
        run(tmp_path / "lib", folder, embedder=embedder, batch=0)


# What can happen to a folder between two runs.
step = st.one_of(
    st.tuples(st.just("paint"), st.integers(0, 5), st.integers(0, 3)),
    st.tuples(st.just("spoil"), st.integers(0, 5), st.integers(0, 3)),
    st.tuples(st.just("move"), st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.just("copy"), st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.just("delete"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("index"), st.just(0), st.just(0)),
)


@settings(max_examples=30)
@given(steps=st.lists(step, max_size=12))
def test_whatever_happens_to_a_folder_the_index_ends_as_if_made_afresh(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    base = tmp_path_factory.mktemp("history")
    photos = base / "p"
    photos.mkdir()
    (photos / "always").write_bytes(b"never empty, so never taken for unmounted")
    clock = 1_700_000_000
    for what, first, second in steps:
        source, target = photos / f"{first}.png", photos / f"{second}.png"
        clock += 1
        if what == "paint":
            paint(source, list(COLOURS)[second], seed=second)
            os.utime(source, (clock, clock))
        elif what == "spoil":
            source.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([second]))
            os.utime(source, (clock, clock))
        elif what == "index":
            run(base / "lib", photos, embedder=ColourEmbedder())
        elif source.exists():
            if what == "move":
                source.rename(target)
            elif what == "copy" and source != target:
                shutil.copy2(source, target)
            elif what == "delete":
                source.unlink()
    run(base / "lib", photos, embedder=ColourEmbedder())
    run(base / "fresh", photos, embedder=ColourEmbedder())
    aged, fresh = rows(base / "lib"), rows(base / "fresh")
    assert [row for row in aged["files"] if not row[-1]] == fresh["files"]
    assert set(fresh["vectors"]) <= set(aged["vectors"])


def test_only_a_bounded_number_of_pictures_is_held(
    tmp_path: Path, embedder: ColourEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    alive = 0
    true_read, true_images = read.Reader.read, embedder.images

    def counted(self: read.Reader, pending: read.Pending) -> object:
        nonlocal alive
        alive += 1
        held.append(alive)
        return true_read(self, pending)

    def images(views: Sequence[Views]) -> Tensor:
        nonlocal alive
        alive -= len(views)
        return true_images(views)

    monkeypatch.setattr(read.Reader, "read", counted)
    monkeypatch.setattr(embedder, "images", images)
    for seed in range(120):
        path = tmp_path / f"p/{seed}.bmp"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (seed, 0, 0)).save(path)
    report = run(tmp_path / "lib", tmp_path / "p", embedder=embedder, batch=4, workers=1)
    assert report.embedded == 120
    assert max(held) <= 3 * 4 + 1
