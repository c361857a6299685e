"""Every sentence of the tables is read exactly as written down."""

import pytest

from .reading import read, tables

ALL = list(tables())


@pytest.mark.parametrize(("topic", "sentence", "expected"), ALL, ids=[f"{topic}-{s}" for topic, s, _ in ALL])
def test_a_sentence_is_read_as_written_down(topic: str, sentence: str, expected: str) -> None:
    assert read(sentence) == expected, topic


def test_the_tables_hold_as_many_chinese_sentences_as_they_should() -> None:
    chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in sentence) for _, sentence, _ in ALL)
    assert len(ALL) >= 320
    assert 0.4 <= chinese / len(ALL) <= 0.6
    assert len({sentence for _, sentence, _ in ALL}) == len(ALL)
