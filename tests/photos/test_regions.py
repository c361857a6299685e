"""Looking closer: small things are found, and where; nothing is lost on the way."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import CorruptLibrary, InputError
from isthmus.photos.index import index
from isthmus.photos.regions import REGIONS, boxes, look_closer
from isthmus.photos.search import Searcher, search
from isthmus.photos.store import Library
from isthmus.photos.sure import load_background

from .fakes import COLOURS, ColourEmbedder, paint


def patched(path: Path, ground: str, patch: str, box: tuple[int, int, int, int], size: tuple[int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, COLOURS[ground])
    picture.paste(COLOURS[patch], box)
    picture.save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    patched(tmp_path / "p/corner.png", "white", "red", (60, 40, 150, 100), (150, 100))
    patched(tmp_path / "p/pinkish.png", "white", "yellow", (0, 0, 150, 60), (150, 100))
    paint(tmp_path / "p/green.png", "green")
    return tmp_path / "p"


def test_what_fills_a_region_is_found_there(tmp_path: Path, photos: Path, embedder: ColourEmbedder) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        before = {Path(hit.path).name: hit for hit in search(store, embedder, "red").hits}
        assert all(hit.box is None for hit in before.values())
        report = look_closer(store, embedder, quiet=True)
        assert (report.done, report.left, report.stopped) == (3, 0, False)
        first, *_ = search(store, embedder, "red").hits
        assert Path(first.path).name == "corner.png"
        assert first.box == pytest.approx((60, 40, 150, 100))
        assert first.score is not None
        assert before["corner.png"].score is not None
        assert first.score > before["corner.png"].score
        vector = load_background(store.folder, embedder).centred(embedder.texts(["red"])[0].numpy()).vector
        assert first.score == pytest.approx(float(vector @ embedder.texts(["red"])[0].numpy()), abs=5e-3)
        whole, *_ = search(store, embedder, "green").hits
        assert Path(whole.path).name == "green.png"


def test_each_photo_comes_once_and_in_the_order_of_its_nearest_part(tmp_path: Path, embedder: ColourEmbedder) -> None:
    rng = np.random.default_rng(0)
    for at in range(40):
        (tmp_path / "p").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((80, 60), 0).save(tmp_path / f"p/{at}.png")
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "p"], embedder, quiet=True)
        look_closer(store, embedder, batch=3, quiet=True)
        model = store.models()[0]
        vectors = {photo: [np.frombuffer(v, "<f2").astype(float)] for _, photo, v in store.vectors(model)}
        for _, photo, blob in store.regions(model):
            vectors[photo] += list(np.frombuffer(blob, "<f2").reshape(REGIONS, -1).astype(float))
        query = load_background(store.folder, embedder).centred(embedder.texts(["red"])[0].numpy()).vector.astype(float)
        expected = {photo: max(float(v @ query) for v in rows) for photo, rows in vectors.items()}
        for top in (1, 7, 40):
            found = search(store, embedder, "red", top)
            assert len(found.hits) == len({hit.photo for hit in found.hits}) == top
            assert all(hit.score == pytest.approx(expected[hit.photo], abs=1e-4) for hit in found.hits)
            assert found.sure is not None
            # What is sure comes first, and both parts stand in the order of their scores.
            for part in (found.hits[: found.sure], found.hits[found.sure :]):
                scores = [hit.score for hit in part]
                assert scores == sorted(scores, reverse=True)
            weaker = [score for photo, score in expected.items() if photo not in {hit.photo for hit in found.hits}]
            if top > found.sure and weaker:
                assert found.hits[-1].score >= max(weaker) - 1e-4


def test_it_is_stopped_and_goes_on(tmp_path: Path, photos: Path, embedder: ColourEmbedder) -> None:
    asked = iter([False, False, True, True, True, True, True, True, True, True, True])
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        first = look_closer(store, embedder, batch=1, workers=1, quiet=True, stop=lambda: next(asked, True))
        assert first.stopped
        assert 0 < first.left < 3
        second = look_closer(store, embedder, quiet=True)
        assert (first.done + second.done, second.left) == (3, 0)
        assert look_closer(store, embedder, quiet=True).done == 0


def test_a_file_that_is_away_is_left_for_the_next_run(tmp_path: Path, photos: Path, embedder: ColourEmbedder) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        (photos / "green.png").rename(tmp_path / "away.png")
        (photos / "pinkish.png").write_bytes(b"another")
        report = look_closer(store, embedder, quiet=True)
        assert (report.done, report.left, dict(report.postponed)) == (1, 2, {"missing": 1, "changed": 1})
        (tmp_path / "away.png").rename(photos / "green.png")
        assert look_closer(store, embedder, quiet=True).done == 1


def test_a_searcher_sees_the_regions_when_they_come(tmp_path: Path, photos: Path, embedder: ColourEmbedder) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        searcher = Searcher(store, embedder)
        before = searcher.search("red", 1).hits[0]
        look_closer(store, embedder, quiet=True)
        after = searcher.search("red", 1).hits[0]
    assert before.box is None
    assert after.box is not None


def test_damage_is_found(tmp_path: Path, photos: Path, embedder: ColourEmbedder) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        look_closer(store, embedder, quiet=True)
        with store.transaction() as database:
            database.execute("UPDATE regions SET vectors = zeroblob(length(vectors)) WHERE id = 1")
        with pytest.raises(CorruptLibrary, match="regions 1"):
            store.check()


def test_a_library_without_photos_is_refused_in_words(tmp_path: Path, embedder: ColourEmbedder) -> None:
    with Library.write(tmp_path / "lib") as store, pytest.raises(InputError, match="indexed with test/colour yet"):
        look_closer(store, embedder, quiet=True)


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_regions_lie_inside_and_cover_the_photo(width: int, height: int) -> None:
    found = boxes(width, height)
    assert len(found) == REGIONS
    assert all(0 <= box.left < box.right <= width * (1 + 1e-9) for box in found)
    assert all(0 <= box.top < box.bottom <= height * (1 + 1e-9) for box in found)
    assert min(box.left for box in found) == min(box.top for box in found) == 0
    assert max(box.right for box in found) == pytest.approx(width)
    assert max(box.bottom for box in found) == pytest.approx(height)
