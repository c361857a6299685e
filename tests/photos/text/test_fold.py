"""What is asked and what was read become the same words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.photos.text.derive_han import simplified
from isthmus.photos.text.fold import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NO PARKING!", ["no", "parking"]),
        ("Café ﬁn", ["cafe", "fin"]),
        ("ＡＢＣ１２", ["abc", "12"]),
        ("小心地滑", list("小心地滑")),
        ("臺灣鐵路", list("台湾铁路")),
        ("G7391次 07车", ["g", "7391", "次", "07", "车"]),
        ("Wi-Fi: tulip2019", ["wi", "fi", "tulip", "2019"]),
        ("45.20€", ["45", "20"]),
        ("がぎ カ", ["が", "ぎ", "カ"]),
        ("한국어", ["한국어"]),
        ("\x00 \n\t”“😀…", []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("2O4", "204"), ("l23", "123"), ("7I8", "718"), ("1O", "10"), ("EXlT", "EXIT"), ("EX1T", "exit"),
        ("B00KS", "books"), ("he1lo", "hello"), ("CLOSlNG", "closing"),
    ],
)  # fmt: skip
def test_what_recognisers_mix_up_is_mended_by_what_stands_around(read: str, meant: str) -> None:
    assert words_of(read) == words_of(meant)


@pytest.mark.parametrize(
    ("one", "other"), [("10am", "loam"), ("mail", "mall"), ("page 1", "page l"), ("room 10", "room lo"), ("B12", "812")]
)
def test_what_may_well_be_meant_is_not_mended(one: str, other: str) -> None:
    assert words_of(one) != words_of(other)


@given(st.text())
def test_a_folded_word_is_letters_or_figures_and_stays_as_it_is(text: str) -> None:
    words = words_of(text)
    assert all(word.isalnum() for word in words)
    assert all(len({each.isdecimal() for each in word}) == 1 for word in words)


def test_simplified_characters_come_from_unicode() -> None:
    source = "# comment\nU+53F0\tkTraditionalVariant\tU+81FA\nU+81FA\tkSimplifiedVariant\tU+53F0\n"
    source += "U+4E7E\tkSimplifiedVariant\tU+4E7E U+5E72\nU+3469\tkSimplifiedVariant\tU+34E8\n"
    assert simplified(source) == {"臺": "台", "乾": "干"}
