"""Whatever is typed: parsing does not raise, drops nothing, and survives JSON."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.photos.query import as_words, explain, from_json, inverted, parse, to_json, without
from isthmus.photos.query.model import Query, Settings, Words
from isthmus.photos.query.sentence import LONGEST

from .reading import NOW, VOCABULARY, tables

PIECES = sorted(
    {word for _, sentence, _ in tables() for word in sentence.split()}
    | {sentence[n : n + 3] for _, sentence, _ in tables() for n in range(0, len(sentence) - 2, 3)}
)
PLAIN = (
    "a| |5月|from |between 1 and |not |没有|的|1|9-|Paris |Paris, |上海|last |the |in the |和|May |2019 |2019和|never-"
)
ODD = '一|and |a.|-|or no |photos of |上|İ|\ud800|🙂|or Rex |"|“|never |在|或|到'
SENTENCES = [sentence for _, sentence, _ in tables()]

GRAMMAR = (
    "early|mid|late|beginning of|end of|first half of|second half of|last|this|next|the|in|on|from|to|"
    "since|before|after|of|and|or|every|5|31|2019|29|1st|week|month|year|decade|weekend|day|spring|"
    "summer|winter|May|March|february|Christmas|Easter|Sunday|morning|night|ago|two|before last|today|"
    "yesterday|no|not|without|near|within 5 km of|Paris|China|Turkey|Georgia|Rex|May|videos|photos|top|"
    'canon|taken with|iphone 12|"x"|most recent|1990s|the 90s|between|at 5 pm|older than|months|'
    "on this day"
)
GRAMMAR_HAN = (
    "去年|今年|前年|2018年|19年|上|上个|这|本|下|月|周|周日|星期|年|初|底|中旬|"
    "上半年|春|夏天|初春|深秋|五月|5月|3日|31号|农历|正月|初一|腊月|三十|到|至|从|以来|"
    "之前|以后|前|后|三天|两年|最近|每|晚上|早上|三点|春节|中秋|国庆|在|附近|北京|巴黎|"
    "日本|20公里以内|安娜|小明|和|或|没有|不要|除了|以外|的|照片|三张|10张|视频|截图|"
    "自拍|用|佳能|拍的|写着|最新的|最早|年代|八十|90|二月|29日|期间|的时候"
)
grammar = st.lists(st.sampled_from(GRAMMAR.split("|")), max_size=9).map(" ".join)
grammar_han = st.lists(st.sampled_from(GRAMMAR_HAN.split("|")), max_size=9).map("".join)
mixed = st.lists(
    st.one_of(st.sampled_from(PIECES), st.sampled_from(SENTENCES), st.sampled_from([", ", "和", " and ", "没有", '"'])),
    max_size=10,
).map(" ".join)
glued = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
anything = st.text(max_size=300)
sentences = st.one_of(grammar, grammar_han, mixed, glued, anything)
times = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))


def unaccounted(query: Query) -> str:
    """Characters that are neither in a chip nor filler nor removed."""
    seen = bytearray(len(query.sentence))
    spans = [span for chip in query.chips for span in chip.spans]
    for start, end in [*spans, *query.filler, *query.removed]:
        assert 0 <= start < end <= len(query.sentence)
        seen[start:end] = b"\1" * (end - start)
    return "".join(c for c, here in zip(query.sentence, seen, strict=True) if not here and not c.isspace())


def overlaps(query: Query) -> list[tuple[int, int]]:
    spans = sorted([span for chip in query.chips for span in chip.spans] + list(query.filler))
    return [b for a, b in pairwise(spans) if b[0] < a[1]]


@settings(max_examples=250, deadline=None)
@given(sentence=sentences, now=times)
def test_nothing_is_dropped_and_nothing_is_counted_twice(sentence: str, now: datetime) -> None:
    query = parse(sentence, now, vocabulary=VOCABULARY)
    assert unaccounted(query) == ""
    assert overlaps(query) == []
    assert all(chip.label and chip.spans for chip in query.chips)
    for unsure in query.unsure:
        start, end = unsure.span
        assert unsure.text == sentence[start:end]
        assert unsure.reason
        shown = [span for chip in query.chips if isinstance(chip.value, Words) for span in chip.spans]
        assert any(start < e and s < end for s, e in shown)


@settings(max_examples=150, deadline=None)
@given(sentence=sentences)
def test_words_of_the_vector_are_words_of_the_sentence(sentence: str) -> None:
    query = parse(sentence, NOW, vocabulary=VOCABULARY)
    typed = "".join(sentence.split())
    for words in query.positive:
        assert "".join(words.split()) in typed


@settings(max_examples=150, deadline=None)
@given(sentence=sentences)
def test_json_loses_nothing(sentence: str) -> None:
    query = parse(sentence, NOW, vocabulary=VOCABULARY)
    assert from_json(to_json(query)) == query


@settings(max_examples=100, deadline=None)
@given(sentence=st.one_of(grammar, grammar_han, mixed))
def test_every_chip_can_go_be_turned_and_become_words(sentence: str) -> None:
    query = parse(sentence, NOW, vocabulary=VOCABULARY)
    for index, chip in enumerate(query.chips):
        assert unaccounted(without(query, index)) == ""
        assert inverted(inverted(query, index), index).chips[index] == replace(chip, keep_words=False)
        assert as_words(query, index).chips[index].kind == "words"
        assert explain(without(query, index), "en")
        assert explain(without(query, index), "zh")


@settings(max_examples=60, deadline=None)
@given(
    sentence=st.one_of(grammar, grammar_han, st.sampled_from(SENTENCES)),
    now=times,
    hemisphere=st.sampled_from(["north", "south"]),
    day_first=st.booleans(),
    week_starts=st.sampled_from([0, 6]),
)
def test_intervals_are_in_order_at_any_time_and_setting(
    sentence: str, now: datetime, hemisphere: str, day_first: bool, week_starts: int
) -> None:
    options = Settings(hemisphere, day_first, week_starts)  # type: ignore[arg-type]
    for chip in parse(sentence, now, settings=options).of("time"):
        for interval in getattr(chip.value, "intervals", ()):
            assert interval.start is None or interval.end is None or interval.start < interval.end


@pytest.mark.parametrize(
    "piece",
    [*PLAIN.split("|"), *ODD.split("|")],
)
def test_a_long_sentence_of_one_piece_is_read_to_its_limit(piece: str) -> None:
    sentence = piece * (2 * LONGEST // len(piece))
    query = parse(sentence, NOW, vocabulary=VOCABULARY)
    assert unaccounted(query) == ""
    if sentence[LONGEST:].strip():
        assert any("1000" in unsure.reason for unsure in query.unsure)
