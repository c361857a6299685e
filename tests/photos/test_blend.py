"""Sums of words and pictures as what is looked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import InputError, IsthmusError
from isthmus.images.views import Box
from isthmus.photos.blend import Like, Term, terms, vector_of
from isthmus.photos.index import index
from isthmus.photos.pointed import Pointed
from isthmus.photos.search import Searcher, search
from isthmus.photos.store import Library

from .fakes import ColourEmbedder, paint
from .test_cli import Run, cheap_models, run  # noqa: F401


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("a beach", [(1, "a beach")]),
        ("a beach + sunset - people", [(1, "a beach"), (1, "sunset"), (-1, "people")]),
        ("2× red + .5x blue - 1.5 * green", [(2, "red"), (0.5, "blue"), (-1.5, "green")]),
        ("a t-shirt", [(1, "a t-shirt")]),
        ("beach+sunset", [(1, "beach+sunset")]),
        ("beach + 2 dogs", [(1, "beach"), (1, "2 dogs")]),
        ("日落 + 海滩 − 人", [(1, "日落"), (1, "海滩"), (-1, "人")]),
        ("dog -  ", [(1, "dog")]),
        ("+ dog", [(1, "+ dog")]),
        ("", []),
    ],
)
def test_a_sum_is_read(words: str, read: list[tuple[float, str]]) -> None:
    assert terms(words) == tuple(Term(*each) for each in read)


@given(
    st.lists(
        st.tuples(st.sampled_from("+-"), st.from_regex(r"[a-wyz]{1,8}( [a-wyz]{1,5})?", fullmatch=True)), max_size=6
    )
)
def test_every_part_of_a_sum_comes_back(parts: list[tuple[str, str]]) -> None:
    text = "first" + "".join(f" {sign} {words}" for sign, words in parts)
    assert terms(text) == (Term(1.0, "first"), *(Term(1.0 if sign == "+" else -1.0, words) for sign, words in parts))


def test_a_weight_has_a_limit() -> None:
    with pytest.raises(InputError, match="too much"):
        terms("red + 101× blue")


def test_a_sum_lies_between_its_parts(embedder: ColourEmbedder) -> None:
    red, blue = vector_of(embedder, "red"), vector_of(embedder, "blue")
    both = vector_of(embedder, "red + blue")
    assert np.linalg.norm(both) == pytest.approx(1, abs=1e-6)
    assert both @ red == pytest.approx(both @ blue, abs=1e-5)
    assert vector_of(embedder, "3× red + blue") @ red > both @ red
    assert vector_of(embedder, "red - blue") @ blue < red @ blue
    for nothing in ("red - red", "0× red"):
        with pytest.raises(IsthmusError, match="made no vector"):
            vector_of(embedder, nothing)


def test_pictures_and_parts_of_them_are_looked_for(
    tmp_path: Path, folder: Path, embedder: ColourEmbedder, library: Library
) -> None:
    half = Image.new("RGB", (80, 40), (20, 40, 200))
    half.paste((20, 160, 30), (40, 0, 80, 40))
    half.save(tmp_path / "half.png")

    def first(words: str, *like: Like) -> str:
        return Path(search(library, embedder, words, 1, like=like).hits[0].path).stem

    whole = Pointed(tmp_path / "half.png")
    assert first("", Like(Pointed(whole.path, Box(0, 0, 40, 40)))) == "blue"
    assert first("", Like(Pointed(whole.path, Box(40, 0, 80, 40)))) == "green"
    assert first("red", Like(Pointed(folder / "a/blue.jpg"), 0.2)) == "red"
    assert first("", Like(whole), Like(Pointed(folder / "a/blue.jpg"), -0.4)) == "green"
    found = search(library, embedder, "", like=[Like(whole)])
    assert found.sure is None
    assert len(found.hits) == 5
    # Conditions hold for pictures too.
    assert search(library, embedder, "in 1999", like=[Like(whole)]).hits == ()
    assert Searcher(library, embedder).search("the oldest", 2, like=[Like(whole)]).hits[0].score is not None


@pytest.fixture
def library(tmp_path: Path, folder: Path, embedder: ColourEmbedder):  # type: ignore[no-untyped-def]
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], embedder, quiet=True)
        yield store


def test_the_command(run: Run, tmp_path: Path, folder: Path) -> None:  # noqa: F811
    lib = ("--library", tmp_path / "lib")
    run("index", folder, "--whole", *lib)
    example = paint(tmp_path / "example.png", "green", seed=70)
    code, out, err = run("search", "--like", example, "--top", 1, *lib)
    assert (code, out.split()[2].endswith("green.png"), err) == (0, True, "")
    assert "red.png" in run("search", "yellow - green", "--like", f"{folder}/a/red.png@5,5,60,40", "--top", 1, *lib)[1]
    assert run("search", "--unlike", folder / "white.png", "--top", 1, *lib)[0] == 0
    for words, says in (
        (("search",), "the query is empty"),
        (("search", "--like", tmp_path / "absent.png"), "cannot be read"),
        (("search", "--like", f"{example}@900,0,999,9"), "the box lies outside"),
        (("search", "--like", folder), "cannot be read"),
    ):
        code, _, err = run(*words, *lib)
        assert (code, len(err.splitlines()), says in err) == (2, 1, True), err
