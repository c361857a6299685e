"""Vectors in LanceDB give the same results as the library's own, and a copy that is behind or another's is seen to."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.photos import lance
from isthmus.photos.index import index
from isthmus.photos.lance import LanceVectors, publish
from isthmus.photos.matrix import load_matrix
from isthmus.photos.regions import look_closer
from isthmus.photos.search import Searcher
from isthmus.photos.store import Library

from .fakes import COLOURS, ColourEmbedder, paint
from .test_cli import Run, cheap_models, run  # noqa: F401

pytest.importorskip("lancedb")
MODEL = ColourEmbedder()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 photos with their regions, published."""
    folder = tmp_path_factory.mktemp("lance")
    for seed in range(120):
        paint(folder / f"photos/201{seed % 9}-05-01 {seed:03}.png", list(COLOURS)[seed % 6], seed=seed)
    with Library.write(folder / "lib") as store:
        index(store, [folder / "photos"], MODEL, batch=64, quiet=True)
        look_closer(store, MODEL, batch=32, quiet=True)
        publish(store, store.models()[0], str(folder / "lance"))
    return folder


QUERIES = ["red", "blue + 0.4× yellow", "green in 2013", "white without black", "the newest 7 yellow ones", "in 2015"]


@pytest.mark.parametrize("query", QUERIES)
def test_a_search_finds_the_same(home: Path, query: str) -> None:
    with Library.read(home / "lib") as store:
        here, there = (Searcher(store, MODEL, at).search(query, 50) for at in (None, LanceVectors(str(home / "lance"))))
    assert [hit.photo for hit in here.hits] == [hit.photo for hit in there.hits]
    assert [hit.score for hit in here.hits] == pytest.approx([hit.score for hit in there.hits], abs=1e-6)
    assert [hit.box for hit in here.hits] == [hit.box for hit in there.hits]
    assert (here.sure, here.fitting) == (there.sure, there.fitting)
    assert len(here.hits) > 5


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("few", [0, lance.FEW])
def test_a_scan_is_the_local_one(home: Path, few: int, monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    """For any query, rows that count, and k; `few` 0: also where rows are not fetched one by one."""
    monkeypatch.setattr(lance, "FEW", few)
    with Library.read(home / "lib") as store:
        model = store.models()[0]
        matrix = load_matrix(store, model, "regions")
        _, closer = LanceVectors(str(home / "lance")).load(store, model)
    assert closer is not None
    np.testing.assert_array_equal(closer.photos, matrix.photos)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    query = random.standard_normal(MODEL.dim).astype(np.float32)
    query /= np.linalg.norm(query)
    share = data.draw(st.sampled_from([None, 0.0, 0.01, 0.3, 1.0]))
    keep = None if share is None else random.random(len(matrix.photos)) < share
    k = data.draw(st.integers(0, 700))
    mine, its = matrix.scan(query, keep), closer.scan(query, keep)
    (rows, scores), (its_rows, its_scores) = mine.best(k), its.best(k)
    np.testing.assert_allclose(its_scores, scores, atol=1e-6)
    # Equal but for the order of what differs by less than rounding.
    swapped = rows != its_rows
    assert (np.abs(its.exact(rows[swapped]) - its_scores[swapped]) < 1e-6).all()
    some = random.integers(0, len(rows), 9) if len(rows) else np.empty(0, np.int64)
    np.testing.assert_array_equal(its.take(rows[some]), mine.take(rows[some]))


def test_what_came_since_is_added_and_a_changed_past_written_anew(tmp_path: Path) -> None:
    uri = str(tmp_path / "lance")
    for seed in range(8):
        paint(tmp_path / f"photos/{seed}.png", seed=seed)
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "photos"], MODEL, quiet=True)
        assert publish(store, store.models()[0], uri)["vectors"] == lance.Published(8, 8)
        assert publish(store, store.models()[0], uri)["vectors"] == lance.Published(0, 8)
        for seed in range(8, 11):
            paint(tmp_path / f"photos/{seed}.png", seed=seed)
        index(store, [tmp_path / "photos"], MODEL, quiet=True)
        look_closer(store, MODEL, quiet=True)
        done = publish(store, store.models()[0], uri)
        assert done == {"vectors": lance.Published(3, 11), "regions": lance.Published(55, 55)}
        matrix = load_matrix(store, store.models()[0])
        rows, _ = LanceVectors(uri).load(store, store.models()[0])
        np.testing.assert_array_equal(rows.photos, matrix.photos)
        np.testing.assert_array_equal(
            rows.scan(matrix.vectors[0].astype(np.float32)).take(np.arange(11)), matrix.vectors
        )
        with store.transaction() as database:  # as after a restored backup
            database.execute("DELETE FROM vectors WHERE id = 2")
        assert publish(store, store.models()[0], uri)["vectors"] == lance.Published(10, 10)


def test_another_librarys_are_not_taken(tmp_path: Path, home: Path) -> None:
    paint(tmp_path / "photos/1.png", seed=1)
    with Library.write(tmp_path / "lib") as store:
        index(store, [tmp_path / "photos"], MODEL, quiet=True)
        with pytest.raises(InputError, match=r"no vectors of this library.*photos publish"):
            Searcher(store, MODEL, LanceVectors(str(home / "lance"))).search("red")
        publish(store, store.models()[0], str(home / "lance"))  # two libraries in one database
        assert len(Searcher(store, MODEL, LanceVectors(str(home / "lance"))).search("red").hits) == 1


def test_where_it_cannot_be_written_it_says_so(tmp_path: Path, home: Path) -> None:
    (tmp_path / "file").touch()
    with Library.read(home / "lib") as store, pytest.raises(InputError, match="cannot be"):
        publish(store, store.models()[0], str(tmp_path / "file/in"))


@pytest.mark.usefixtures("cheap_models")
def test_by_the_command_line(run: Run, home: Path) -> None:  # noqa: F811
    library = ("--library", str(home / "lib"))
    _, done, _ = run("publish", str(home / "lance"), *library, "--json")
    assert json.loads(done) == {"vectors": {"added": 0, "rows": 120}, "regions": {"added": 0, "rows": 600}}
    here = json.loads(run("search", "red", *library, "--json")[1])
    there = json.loads(run("search", "red", *library, "--json", "--vectors", str(home / "lance"))[1])
    assert [each["photo"] for each in here["results"]] == [each["photo"] for each in there["results"]]
    assert len(here["results"]) == 10
