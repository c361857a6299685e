"""The honest cut-off, and words that are denied."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from isthmus.photos.index import index
from isthmus.photos.search import Searcher, search
from isthmus.photos.store import Library
from isthmus.photos.sure import CENTRED, NEARER, ROUNDING, Background, Bars, Centred, load_background

from .fakes import ColourEmbedder, paint

NOW = datetime(2024, 7, 17, 12)


@pytest.fixture
def library(tmp_path: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    """Six red photos and four blue ones, of known years, and a grey one."""
    for at in range(6):
        paint(tmp_path / f"p/201{at}-05-01.png", "red", seed=at)
    for at in range(4):
        paint(tmp_path / f"p/202{at}-05-01.png", "blue", seed=at)
    paint(tmp_path / "p/2018-01-01.png", (120, 120, 120))
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
    with Library.read(tmp_path / "lib") as store:
        yield store


def test_what_shows_the_words_is_sure_and_what_does_not_is_weaker(library: Library, embedder: ColourEmbedder) -> None:
    found = search(library, embedder, "something red", 11)
    assert found.sure == 6
    assert {Path(hit.path).stem[:3] for hit in found.hits[:6]} == {"201"}
    assert len(found.hits) == 11


def test_nothing_is_sure_of_what_the_library_lacks(library: Library, embedder: ColourEmbedder) -> None:
    assert search(library, embedder, "something green").sure == 0
    assert search(library, embedder, "something red in 2022", now=NOW).sure == 0
    assert search(library, None, "photos from 2022", now=NOW).sure is None


def test_what_is_denied_is_left_out(library: Library, embedder: ColourEmbedder) -> None:
    found = search(library, embedder, "photos without red", 11, now=NOW)
    assert (found.query.negative, found.fitting, found.sure) == (("red",), 5, None)
    assert {Path(hit.path).stem for hit in found.hits} == {f"202{at}-05-01" for at in range(4)} | {"2018-01-01"}
    both = search(library, embedder, "something blue without red", 11, now=NOW)
    assert (both.fitting, both.sure) == (5, 4)


def test_an_order_by_time_is_that_of_what_is_sure(library: Library, embedder: ColourEmbedder) -> None:
    found = search(library, embedder, "the newest photos of something red", 4, now=NOW)
    assert [Path(hit.path).stem[:4] for hit in found.hits] == ["2015", "2014", "2013", "2012"]
    found = search(library, embedder, "the oldest photos of something red", 8, now=NOW)
    assert [Path(hit.path).stem[:4] for hit in found.hits[:6]] == [f"201{at}" for at in range(6)]


def nearer(background: Background, views: np.ndarray, words: Centred) -> list[int]:
    """How many of the texts are nearer to each view than the words are, counted one by one."""
    wide = views.astype(np.float32)
    others = wide @ ((background.vectors - words.share * background.centre) / words.length).T
    return (others > (wide @ words.vector)[:, None] + ROUNDING).sum(1).tolist()


def surely(background: Background, views: np.ndarray, words: Centred, rows: list[int] | None = None) -> list[bool]:
    at = np.arange(len(views)) if rows is None else np.array(rows)
    scores = views[at].astype(np.float32) @ words.vector
    return Bars(background, len(views)).surely(at, scores, words, lambda some: views[some]).tolist()


def test_sure_is_a_rank_among_the_other_things() -> None:
    others = np.eye(20, dtype=np.float32)
    view = np.zeros((1, 20), np.float16)
    view[0, :10] = np.linspace(1, 0.1, 10)
    bars = Bars(Background(others), 1)
    for rank in range(9):
        score = np.array([1 - 0.1 * rank + 0.05], np.float32)
        found = bars.surely(np.array([0]), score, Centred(score), lambda rows: view[rows])
        assert found[0] == (rank < NEARER)


def test_bars_are_worked_out_once_for_all_words() -> None:
    random = np.random.default_rng(1)
    views = random.standard_normal((1200, 12)).astype(np.float16)
    texts = random.standard_normal((30, 12)).astype(np.float32)
    background, taken = Background(texts / np.linalg.norm(texts, axis=1, keepdims=True)), []

    def take(rows: np.ndarray) -> np.ndarray:
        taken.extend(rows.tolist())
        return views[rows]

    bars = Bars(background, len(views))
    for words in random.standard_normal((3, 12)).astype(np.float32):
        centred = background.centred(words / np.linalg.norm(words))
        rows = random.permutation(len(views))[:900]
        found = bars.surely(rows, views[rows].astype(np.float32) @ centred.vector, centred, take)
        assert found.tolist() == [count < NEARER for count in nearer(background, views[rows], centred)]
        assert 0 < found.sum() < 900
    assert len(taken) == len(set(taken)) <= len(views)


def test_what_texts_share_is_taken_out_of_all_alike() -> None:
    """Ranks among the other things are what they were; a photo that is near to every text gains nothing by it."""
    random = np.random.default_rng(0)
    others, words = (random.standard_normal((n, 12)).astype(np.float32) + 2 for n in (40, 1))
    others, words = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (others, words))
    background = Background(others)
    centred = background.centred(words[0])
    assert np.linalg.norm(centred.vector) == pytest.approx(1, abs=1e-6)
    views = random.standard_normal((200, 12)).astype(np.float16)
    assert nearer(background, views, centred) == nearer(background, views, Centred(words[0]))
    plain = surely(background, views, Centred(words[0]))
    assert surely(background, views, centred) == plain
    assert 0 < sum(plain) < 200
    shared = others.mean(0)
    assert shared @ centred.vector < 0.8 * (shared @ words[0])
    same = Background(np.tile(words, (5, 1)) / CENTRED).centred(words[0])
    assert (same.share, same.length) == (0, 1)  # nothing would be left
    assert same.vector.tolist() == words[0].tolist()


def test_the_background_is_kept_and_made_again_where_it_is_damaged(tmp_path: Path) -> None:
    class Counting(ColourEmbedder):
        asked = 0

        def texts(self, texts):  # type: ignore[no-untyped-def]
            Counting.asked += len(texts)
            return super().texts(texts)

    first = load_background(tmp_path, Counting())
    assert Counting.asked == len(first.vectors) == 1000
    assert np.array_equal(load_background(tmp_path, Counting()).vectors, first.vectors)
    assert Counting.asked == 1000
    (kept,) = tmp_path.glob("background-*")
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert np.array_equal(load_background(tmp_path, Counting()).vectors, first.vectors)
    assert Counting.asked == 2000
    other = load_background(tmp_path, Counting(fingerprint="ab" * 32))
    assert (len(other.vectors), Counting.asked) == (1000, 3000)
    assert len(load_background(tmp_path / "not there", Counting()).vectors) == 1000


def test_a_searcher_pages_through_sure_and_weaker_alike(library: Library, embedder: ColourEmbedder) -> None:
    searcher = Searcher(library, embedder)
    ranking = searcher.rank(searcher.read("something red"))
    whole, _ = searcher.page(ranking, 0, 11)
    parts, place = [], 0
    while place < 11:
        hits, place = searcher.page(ranking, place, 4)
        parts += hits
    assert [hit.photo for hit in parts] == [hit.photo for hit in whole]
    assert len({hit.photo for hit in parts}) == 11
