"""What files say of their photos, in words, is evidence for a search."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.photos.gloss import Gloss
from isthmus.photos.index import index
from isthmus.photos.said import saying
from isthmus.photos.schema import MIGRATIONS
from isthmus.photos.search import search
from isthmus.photos.store import Library

from .fakes import ColourEmbedder, paint, step_back
from .metadata import samples


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    said = {
        "a": samples.bag("dc:subject", "Fireworks", "New Year"),
        "b": samples.alt("dc:title", **{"x-default": "Boats on the lake"}),
        "c": samples.alt("dc:description", **{"x-default": "my neighbour's car, painted"}),
        "d": samples.bag("dc:subject", "烟花", "除夕"),
        "e": samples.bag("dc:subject", "new", "year planner"),
    }
    for seed, (name, properties) in enumerate(said.items()):
        paint(folder / f"{name}.png", "white", seed=seed)
        (folder / f"{name}.xmp").write_bytes(samples.xmp(properties))
    for seed, colour in enumerate(("red", "green", "blue"), 10):
        paint(folder / f"{colour}.png", colour, seed=seed)
    return folder


@pytest.fixture
def library(tmp_path: Path, photos: Path, embedder: ColourEmbedder) -> Iterator[Library]:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
        yield store


def names(library: Library, numbers: "np.ndarray") -> set[str]:
    """The photos' file names."""
    rows = library.query("SELECT photo, path FROM files WHERE photo IS NOT NULL")
    return {Path(path.decode()).stem for photo, path in rows if photo in set(numbers.tolist())}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("fireworks", {"a"}),
        ("a firework", {"a"}),  # whatever its ending
        ("new year", {"a", "e"}),
        ("the boat on a lake", {"b"}),
        ("cars", {"c"}),
        ("painted boats", set()),  # all words of one file
        ("烟花", {"d"}),
        ("花", {"d"}),
        ("烟", {"d"}),
        ("花烟", set()),
        ("fire", set()),
        ("the", set()),
        ('"; DROP', set()),
        ("", set()),
    ],
)
def test_whole_words_of_titles_captions_and_keywords(library: Library, words: str, found: set[str]) -> None:
    assert names(library, saying(library, words)) == found


def test_chinese_words_find_what_they_were_taken_for_too(library: Library) -> None:
    glossed = Gloss("fireworks", (("烟花", "fireworks"),), ())
    assert names(library, saying(library, "烟花的", glossed)) == {"a", "d"}


def test_it_follows_what_files_say(library: Library, photos: Path, embedder: ColourEmbedder) -> None:
    (photos / "a.xmp").write_bytes(samples.xmp(samples.bag("dc:subject", "Sparklers")))
    (photos / "b.png").unlink()
    index(library, [photos], embedder, quiet=True)
    assert names(library, saying(library, "fireworks")) == set()
    assert names(library, saying(library, "sparkler")) == {"a"}
    assert len(saying(library, "boats")) == 0
    assert library.query("INSERT INTO said_words (said_words) VALUES ('integrity-check')") == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(max_size=30))
def test_any_string_will_do(library: Library, words: str) -> None:
    assert saying(library, words).dtype == np.int64


def test_what_is_said_is_sure_and_comes_first_and_is_left_out_where_denied(
    library: Library, embedder: ColourEmbedder
) -> None:
    found = search(library, embedder, "fireworks")
    assert Path(found.hits[0].path).stem == "a"
    assert found.sure is not None
    assert found.sure >= 1
    left = {Path(hit.path).stem for hit in search(library, embedder, "white without boats", 20).hits}
    assert "b" not in left
    assert "a" in left
    # A sum is said by no file.
    assert Path(search(library, embedder, "red + boats", 1).hits[0].path).stem == "red"


def test_an_older_library_learns_it_without_reading_files(
    tmp_path: Path, photos: Path, embedder: ColourEmbedder
) -> None:
    with Library.write(tmp_path / "lib") as store:
        index(store, [photos], embedder, quiet=True)
    database = sqlite3.connect(tmp_path / "lib/library.sqlite")
    step_back(database, next(at for at, step in enumerate(MIGRATIONS) if any("said_words" in made for made in step)))
    database.close()
    for path in photos.iterdir():
        path.unlink()
    with Library.write(tmp_path / "lib") as store:
        assert names(store, saying(store, "new year")) == {"a", "e"}
        assert names(store, saying(store, "烟花")) == {"d"}
