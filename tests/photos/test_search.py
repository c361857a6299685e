"""Searching: the right photo, gone files left out, models never mixed."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.errors import InputError
from isthmus.photos.index import index
from isthmus.photos.search import search
from isthmus.photos.store import Library

from .fakes import COLOURS, ColourEmbedder, paint


@pytest.fixture
def library(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
    with Library.read(tmp_path / "lib") as store:
        yield store


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "white"])
def test_a_sentence_finds_its_photo(library: Library, embedder: ColourEmbedder, colour: str) -> None:
    hits = search(library, embedder, f"something {colour}", 3)
    assert Path(hits[0].path).stem == colour
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert hits[0].score > hits[1].score >= hits[2].score
    assert (hits[0].width, hits[0].height) == (64, 48)


def test_scores_are_cosines(library: Library, embedder: ColourEmbedder) -> None:
    for hit in search(library, embedder, "red", 5):
        assert -1.001 <= hit.score <= 1.001
    assert search(library, embedder, "red", 1)[0].score == pytest.approx(1, abs=5e-3)


def test_copies_are_one_result(library: Library, tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    shutil.copy(folder / "a/red.png", folder / "b/again.png")
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
    hits = search(library, embedder, "red", 10)
    assert len(hits) == 5
    assert (hits[0].path, hits[0].copies) == (str(folder / "a/red.png"), (str(folder / "b/again.png"),))


def test_a_file_deleted_since_the_last_indexing_is_left_out(
    library: Library, folder: Path, embedder: ColourEmbedder
) -> None:
    (folder / "a/red.png").unlink()
    hits = search(library, embedder, "red", 10)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert "red.png" not in {Path(hit.path).name for hit in hits}


def test_many_gone_photos_before_a_kept_one_do_not_hide_it(tmp_path: Path, embedder: ColourEmbedder) -> None:
    for seed in range(150):
        paint(tmp_path / f"p/red{seed}.png", "red", seed=seed)
    paint(tmp_path / "p/green.png", "green")
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
        for seed in range(150):
            (tmp_path / f"p/red{seed}.png").unlink()
        index(store, [tmp_path / "p"], embedder, quiet=True)
        assert [Path(hit.path).name for hit in search(store, embedder, "red", 3)] == ["green.png"]


def test_an_empty_query_and_no_results_wanted_are_refused(library: Library, embedder: ColourEmbedder) -> None:
    for query in ("", "  \n"):
        with pytest.raises(InputError, match="query is empty"):
            search(library, embedder, query)
    with pytest.raises(InputError, match="no results"):
        search(library, embedder, "red", 0)


def test_another_model_is_refused_in_one_line(library: Library) -> None:
    with pytest.raises(InputError, match="indexed with test/colour, not with test/other"):
        search(library, ColourEmbedder(name="test/other", fingerprint="ff" * 32), "red")
    with pytest.raises(InputError, match="indexed with test/colour of another state"):
        search(library, ColourEmbedder(fingerprint="ff" * 32), "red")


def test_an_empty_library_has_no_results(tmp_path: Path, embedder: ColourEmbedder) -> None:
    (tmp_path / "p").mkdir()
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
        assert search(store, embedder, "red") == []


def test_a_name_that_is_not_text_comes_back_whole(tmp_path: Path, embedder: ColourEmbedder) -> None:
    (tmp_path / "p").mkdir()
    name = b"caf\xe9 \xff\n.png"
    os.rename(os.fsencode(paint(tmp_path / "x.png")), os.path.join(os.fsencode(tmp_path / "p"), name))  # noqa: PTH104, PTH118
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
        hit = search(store, embedder, "red", 1)[0]
    assert os.fsencode(hit.path) == os.fsencode(tmp_path) + b"/p/" + name
    assert Path(hit.path).exists()


def test_a_read_only_library_is_searched(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
    real = os.access
    with pytest.MonkeyPatch.context() as patch:  # also for root, to whom nothing is read-only
        patch.setattr(os, "access", lambda path, mode, **rest: mode != os.W_OK and real(path, mode, **rest))
        with Library.read(tmp_path / "lib") as library:
            assert len(search(library, embedder, "red")) == 5


def test_the_colours_are_known_to_the_fake() -> None:
    assert set(COLOURS) >= {"red", "green", "blue", "yellow", "white"}
