"""Searching: the right photo, gone files left out, models never mixed."""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from isthmus.errors import InputError
from isthmus.photos.index import index
from isthmus.photos.query import inverted, without
from isthmus.photos.search import Found, Searcher, search
from isthmus.photos.store import Library
from isthmus.photos.sure import load_background

from .fakes import COLOURS, ColourEmbedder, paint


@pytest.fixture
def library(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
    with Library.read(tmp_path / "lib") as store:
        yield store


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "white"])
def test_a_sentence_finds_its_photo(library: Library, embedder: ColourEmbedder, colour: str) -> None:
    hits = search(library, embedder, f"something {colour}", 3).hits
    assert Path(hits[0].path).stem == colour
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert hits[0].score > hits[1].score >= hits[2].score
    assert (hits[0].width, hits[0].height) == (64, 48)


def test_scores_are_cosines_with_what_words_do_not_share(library: Library, embedder: ColourEmbedder) -> None:
    red = embedder.texts(["red"])[0].numpy()
    words = load_background(library.folder, embedder).centred(red)
    model = library.models()[0]
    vectors = {photo: np.frombuffer(vector, "<f2").astype(np.float32) for _, photo, vector in library.vectors(model)}
    found = search(library, embedder, "red", 5).hits
    assert len(found) == 5
    for hit in found:
        assert hit.score == pytest.approx(float(vectors[hit.photo] @ words.vector), abs=1e-5)
    assert float(words.vector @ red) > 0.7


def test_copies_are_one_result(library: Library, tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    shutil.copy(folder / "a/red.png", folder / "b/again.png")
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
    hits = search(library, embedder, "red", 10).hits
    assert len(hits) == 5
    assert (hits[0].path, hits[0].copies) == (str(folder / "a/red.png"), (str(folder / "b/again.png"),))


def test_a_file_deleted_since_the_last_indexing_is_left_out(
    library: Library, folder: Path, embedder: ColourEmbedder
) -> None:
    (folder / "a/red.png").unlink()
    hits = search(library, embedder, "red", 10).hits
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
        assert [Path(hit.path).name for hit in search(store, embedder, "red", 3).hits] == ["green.png"]


NOW = datetime(2024, 7, 17, 12)


@pytest.fixture
def dated(tmp_path: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    """Six whose names say when they were taken, and one whose does not."""
    names = {"2019-07-04": "red", "2019-12-25": "red", "2020-07-04": "red", "2020-12-25": "green",
             "2021-05-01 14.00.00": "blue", "Screenshot_20210601-080000": "white", "undated": "red"}  # fmt: skip
    for seed, (name, colour) in enumerate(names.items()):
        paint(tmp_path / f"p/{name}.png", colour, seed=seed)
    with Library.write(tmp_path / "dated") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
    with Library.read(tmp_path / "dated") as store:
        yield store


def stems(found: Found) -> list[str]:
    return [Path(hit.path).stem for hit in found.hits]


def test_conditions_come_first_and_words_order_what_is_left(dated: Library, embedder: ColourEmbedder) -> None:
    found = search(dated, embedder, "something green in 2019 or 2020", now=NOW)
    assert stems(found)[0] == "2020-12-25"
    assert (found.fitting, found.photos, len(found.hits)) == (4, 7, 4)
    assert stems(search(dated, embedder, "something green at Christmas 2019", now=NOW)) == ["2019-12-25"]
    assert stems(search(dated, embedder, "2019年圣诞节的green", now=NOW)) == ["2019-12-25"]


def test_conditions_alone_need_no_model_and_show_the_newest_first(dated: Library) -> None:
    found = search(dated, None, "2020", now=NOW)
    assert (stems(found), [hit.score for hit in found.hits]) == (["2020-12-25", "2020-07-04"], [None, None])
    assert stems(search(dated, None, "oldest photos from 2020", now=NOW)) == ["2020-07-04", "2020-12-25"]
    assert stems(search(dated, None, "screenshots", now=NOW)) == ["Screenshot_20210601-080000"]
    assert [hit.taken for hit in search(dated, None, "2021", now=NOW).hits] == ["2021-06-01T08:00:00",
                                                                               "2021-05-01T14:00:00"]  # fmt: skip


def test_the_sentence_says_how_many(dated: Library, embedder: ColourEmbedder) -> None:
    assert len(search(dated, embedder, "two photos of something red", now=NOW).hits) == 2
    assert len(search(dated, embedder, "two photos of something red", 3, now=NOW).hits) == 3


def test_an_order_by_time_is_that_of_the_nearest(dated: Library, embedder: ColourEmbedder) -> None:
    found = search(dated, embedder, "the 3 newest photos of something red", now=NOW)
    assert found.query.order == "newest"
    assert set(stems(found)) <= {"2019-07-04", "2019-12-25", "2020-07-04", "undated"}
    known = [hit.taken for hit in found.hits if hit.taken]
    assert known == sorted(known, reverse=True)


def test_where_nothing_fits_it_is_said_what_stands_in_the_way(dated: Library, embedder: ColourEmbedder) -> None:
    found = search(dated, embedder, "red screenshots from 2019", now=NOW)
    assert (found.hits, found.fitting) == ((), 0)
    labels = {found.query.chips[at].label: count for at, count in found.without}
    assert labels == {"2019": 1, "screenshot": 2}


def test_words_stay_words_where_a_chip_is_changed(dated: Library, embedder: ColourEmbedder) -> None:
    first = search(dated, embedder, "something red in 2019", now=NOW)
    at = next(at for at, chip in enumerate(first.query.chips) if chip.kind == "time")
    assert search(dated, embedder, without(first.query, at)).fitting == 7
    assert search(dated, embedder, inverted(first.query, at)).fitting == 5  # with the undated one


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
        assert search(store, embedder, "red").hits == ()


def test_a_name_that_is_not_text_comes_back_whole(tmp_path: Path, embedder: ColourEmbedder) -> None:
    (tmp_path / "p").mkdir()
    name = b"caf\xe9 \xff\n.png"
    os.rename(os.fsencode(paint(tmp_path / "x.png")), os.path.join(os.fsencode(tmp_path / "p"), name))  # noqa: PTH104, PTH118
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
        hit = search(store, embedder, "red", 1).hits[0]
    assert os.fsencode(hit.path) == os.fsencode(tmp_path) + b"/p/" + name
    assert Path(hit.path).exists()


def test_a_read_only_library_is_searched(tmp_path: Path, folder: Path, embedder: ColourEmbedder) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
    real = os.access
    with pytest.MonkeyPatch.context() as patch:  # also for root, to whom nothing is read-only
        patch.setattr(os, "access", lambda path, mode, **rest: mode != os.W_OK and real(path, mode, **rest))
        with Library.read(tmp_path / "lib") as library:
            assert len(search(library, embedder, "red").hits) == 5


def test_the_colours_are_known_to_the_fake() -> None:
    assert set(COLOURS) >= {"red", "green", "blue", "yellow", "white"}


def test_pages_follow_each_other_without_gap_or_repetition(
    library: Library, folder: Path, embedder: ColourEmbedder
) -> None:
    (folder / "a/red.png").unlink()  # since the last indexing
    searcher = Searcher(library, embedder)
    for query in ("red", "photos"):  # by words, and by time
        ranking = searcher.rank(searcher.read(query))
        whole, end = searcher.page(ranking, 0, 10)
        pages, place = [], 0
        while place < end:
            hits, place = searcher.page(ranking, place, 2)
            pages += hits
        assert [hit.path for hit in pages] == [hit.path for hit in whole]
        assert len(whole) == 4
        assert searcher.page(ranking, end, 5) == ([], end)


def test_a_searcher_sees_what_is_indexed_later(
    library: Library, tmp_path: Path, folder: Path, embedder: ColourEmbedder
) -> None:
    searcher = Searcher(library, embedder)
    assert len(searcher.search("red").hits) == len(searcher.search("photos").hits) == 5
    paint(folder / "2019-07-04.png", "red", seed=9)
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
    assert len(searcher.search("red").hits) == len(searcher.search("photos").hits) == 6
    assert stems(searcher.search("something red in 2019")) == ["2019-07-04"]
