"""Chinese words for a model that reads English."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.photos.gloss import gloss
from isthmus.photos.index import index
from isthmus.photos.query.fold import is_han
from isthmus.photos.search import Searcher
from isthmus.photos.store import Library

from .fakes import ColourEmbedder


@pytest.mark.parametrize(
    ("chinese", "english"),
    [
        ("狗", "dog"),
        ("红色的汽车", "red car"),
        ("一只狗在草地上奔跑", "dog lawn run"),  # 草地 and 上, not 草 and 地上
        ("穿红衣服的小女孩", "wearing red clothes small girl"),  # 女孩, not 小女
        ("生日蛋糕上的蜡烛", "birthday cake candle"),
        ("鸟", "bird"),  # the dictionary's first entry stands for another character
        ("紅色的汽車", "red car"),  # traditional characters
        ("狗 and cat", "dog and cat"),
        ("的", ""),
        ("iPhone", "iPhone"),
    ],
)
def test_words_are_taken_for_what_they_show(chinese: str, english: str) -> None:
    assert gloss(chinese).text == english


def test_each_word_is_shown_and_what_is_not_known_is_said() -> None:
    assert gloss("红色的汽车").words == (("红色", "red"), ("汽车", "car"))
    found = gloss("狗㐅猫")
    assert found.unknown == ("㐅",)
    assert found.text == "dog cat"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_taken(text: str) -> None:
    found = gloss(text)
    assert not any(map(is_han, found.text))


def test_only_a_model_of_other_languages_is_given_glosses(tmp_path: Path, folder: Path) -> None:
    english = ColourEmbedder(languages=frozenset({"en"}))
    with Library.write(tmp_path / "lib") as store:
        index(store, [folder], english, quiet=True)
    with Library.read(tmp_path / "lib") as store:
        found = Searcher(store, english).search("红色")
        assert Path(found.hits[0].path).stem == "red"
        assert found.gloss is not None
        assert found.gloss.words == (("红色", "red"),)
        assert Searcher(store, english).search("red").gloss is None
        for languages in (None, frozenset({"en", "zh"})):
            assert Searcher(store, ColourEmbedder(languages=languages)).search("红色").gloss is None
