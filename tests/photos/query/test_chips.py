"""Chips: what they say, and that taking one off or changing it gives a new query and leaves the old one alone."""

from datetime import datetime

import pytest

from isthmus.errors import InputError
from isthmus.photos.query import (
    Settings,
    as_words,
    explain,
    from_json,
    inverted,
    parse,
    to_json,
    with_alternative,
    with_value,
    without,
)
from isthmus.photos.query.model import Count, Interval, Places, Query, Time

from .reading import NOW, VOCABULARY, reading


def read(sentence: str, settings: Settings | None = None) -> Query:
    return parse(sentence, NOW, vocabulary=VOCABULARY, settings=settings or Settings())


def test_a_chip_says_which_words_it_came_from() -> None:
    sentence = "red car in Paris last summer, no people"
    query = read(sentence)
    words = {chip.kind + "-" * chip.negative: sentence[slice(*chip.spans[0])] for chip in query.chips}
    assert words == {"words": "red car", "place": "in Paris", "time": "last summer", "words-": "no people"}


def test_a_label_is_in_the_language_of_the_sentence() -> None:
    assert [chip.label for chip in read("five videos from May").chips] == ["at most 5", "video", "every May"]
    assert [chip.label for chip in read("五月的五个视频").chips] == ["每年 5 月", "最多 5 张", "视频"]
    assert [chip.label for chip in read("in Japan").chips] == ["Japan"]
    assert [chip.label for chip in read("在日本").chips] == ["日本"]


def test_without_a_chip_the_rest_is_as_it_was() -> None:
    query = read("red car in Paris last summer")
    less = without(query, 1)
    assert reading(less) == "+ red car; time 2023-06-01..2023-09-01"
    assert less.removed == ((8, 16),)
    assert len(query.chips) == 3
    assert without(without(less, 0), 0).chips == ()


def test_a_value_can_be_replaced() -> None:
    query = read("five photos of cats")
    more = with_value(query, 0, Count(50))
    assert (more.top, query.top) == (50, 5)
    assert more.chips[0].label == "at most 50"
    assert more.chips[0].spans == query.chips[0].spans


def test_an_ambiguous_place_offers_the_others_and_goes_back() -> None:
    query = read("in Cambridge")
    first = query.chips[0]
    labels = [other.label for other in first.alternatives]
    assert labels[0] == "Cambridge (CA.08)" or "Cambridge (US.MA)" in labels
    other = with_alternative(query, 0, 0)
    assert other.chips[0].value == first.alternatives[0].value
    back = next(n for n, a in enumerate(other.chips[0].alternatives) if a.value == first.value)
    assert with_alternative(other, 0, back).chips[0].value == first.value


def test_washington_is_the_state_by_its_inhabitants_and_the_capital_is_offered() -> None:
    chip = read("in Washington").chips[0]
    assert isinstance(chip.value, Places)
    assert chip.value.any_of[0].code == "US.WA"
    assert "Washington (US.DC)" in [other.label for other in chip.alternatives]


def test_a_date_with_slashes_offers_both_readings() -> None:
    chip = read("3/5/2018").chips[0]
    assert [other.label for other in chip.alternatives] == ["2018-03-05", "2018-05-03"]
    assert chip.value == chip.alternatives[0].value
    assert read("3/5/2018", Settings(day_first=True)).chips[0].value == chip.alternatives[1].value


def test_words_that_may_also_be_in_the_picture_are_in_the_vector_text_and_that_is_said() -> None:
    query = read("ruins in turkey")
    assert query.chips[1].keep_words
    assert "also a word" in query.chips[1].note
    assert query.vector_text == "ruins in turkey"
    assert inverted(query, 1).vector_text == "ruins"


def test_a_condition_can_become_words() -> None:
    query = as_words(read("dogs in Paris"), 1)
    assert query.positive == ("dogs", "in Paris")
    assert not query.of("place")


def test_a_chip_can_be_turned() -> None:
    assert reading(inverted(read("in Paris"), 0)) == "not place Paris/FR"
    assert reading(inverted(read("without people"), 0)) == "+ people"


def test_the_vector_text_of_chinese_words_has_no_spaces() -> None:
    assert read("红色的车在巴黎停着").vector_text == "红色的车停着"


def test_where_it_is_unsure_it_says_why() -> None:
    query = read("in Narnia on 31 February 2019")
    assert [(u.text, u.reason) for u in query.unsure] == [
        ("Narnia", "not in the gazetteer"),
        ("31 February 2019", "the month has no such day"),
    ]
    assert query.vector_text == "in Narnia on 31 February 2019"


@pytest.mark.parametrize(
    ("sentence", "english", "chinese"),
    [
        (
            "red car in Paris in 2019, no people",
            "shows: red car; place: Paris (within 29.2 km); time: 2019; not people",
            "画面：red car；地点：Paris（29.2 公里内）；时间：2019 年；不含 people",
        ),
        ("没有安娜的视频", "not with Anna; kind: video", "不含 有：Anna；类型：视频"),
        ("all photos", "everything", "所有照片"),
        ("at Christmas", "time: every Christmas", "时间：每年圣诞节"),
        ("since 2020", "time: since 2020-01-01", "时间：2020-01-01 起"),
        ("in Narnia", "shows: in Narnia; not understood: Narnia", "画面：in Narnia；未理解：Narnia"),
    ],
)
def test_a_query_is_explained_in_one_line(sentence: str, english: str, chinese: str) -> None:
    assert explain(read(sentence), "en") == english
    assert explain(read(sentence), "zh") == chinese


def test_summer_is_where_the_hemisphere_says() -> None:
    south = read("summer 2019", Settings(hemisphere="south")).chips[0].value
    assert south == Time(intervals=(Interval(datetime(2019, 12, 1), datetime(2020, 3, 1)),))
    assert read("in summer", Settings(hemisphere="south")).chips[0].value == Time(months=(1, 2, 12))


def test_a_week_starts_when_the_settings_say() -> None:
    week = read("last week", Settings(week_starts=6)).chips[0].value
    assert week == Time(intervals=(Interval(datetime(2024, 7, 7), datetime(2024, 7, 14)),))


def test_conditions_are_listed_by_kind() -> None:
    query = read("newest 10 photos of Rex not in Paris")
    assert (query.top, query.order) == (10, "newest")
    assert [chip.kind for chip in query.of("place", negative=True)] == ["place"]
    assert query.of("place") == ()


@pytest.mark.parametrize("change", [without, as_words, inverted])
def test_a_chip_that_is_not_there_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="there is no chip 3"):
        change(read("in Paris"), 3)


def test_an_alternative_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no alternative"):
        with_alternative(read("in 2019"), 0, 0)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"version": 9, "query": {}}', '{"version": 1, "query": 3}', "[" * 9999]
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no query in JSON"):
        from_json(text)


def test_json_says_its_version() -> None:
    assert to_json(read("in Paris")).startswith('{"version": 1,')
