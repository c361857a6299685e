"""The questions: how many, of what kinds, in how many forms, and no one's answer on both sides."""

import re
from collections import Counter

import pytest
from benchmarks.photo_library.concepts import concepts, side_of
from benchmarks.photo_library.phrases import TIMES, one, plural
from benchmarks.photo_library.questions import NUMBERS, Question, questions
from benchmarks.photo_library.rules import In, Reads, Shows, Taken
from benchmarks.photo_library.story import FIRST, HOME, NOW, TOWNS


@pytest.fixture(scope="module")
def asked(parts: None) -> list[Question]:  # noqa: ARG001
    return questions()


def test_there_are_enough_of_each(asked: list[Question]) -> None:
    assert len(asked) >= 320
    assert Counter(q.language for q in asked)["zh"] * 2 == len(asked)
    assert 0.19 <= sum(not q.answerable for q in asked) / len(asked) <= 0.22
    count = Counter((q.kind, q.language, q.answerable) for q in asked)
    for kind, (answerable, not_answerable) in NUMBERS.items():
        for language in ("en", "zh"):
            assert count[kind, language, True] == answerable, (kind, language)
            assert count[kind, language, False] == not_answerable, (kind, language)


def test_no_sentence_comes_twice_and_there_are_many_shapes(asked: list[Question]) -> None:
    assert len({q.sentence for q in asked}) == len(asked)
    for language in ("en", "zh"):
        assert len({q.shape for q in asked if q.language == language}) >= 25


def test_sentences_are_whole_and_in_their_language(asked: list[Question]) -> None:
    for question in asked:
        assert "{" not in question.sentence
        assert question.sentence == question.sentence.strip()
        chinese = bool(re.search(r"[\u4e00-\u9fff]", question.sentence))
        assert chinese == (question.language == "zh"), question.sentence


def test_they_are_the_same_each_time(asked: list[Question]) -> None:
    assert questions() == asked


def test_sides_share_no_thing_town_or_text(asked: list[Question]) -> None:
    for question in asked:
        for part in question.rule.parts:
            if isinstance(part, Shows) and part.name in concepts() and part.name != "person":
                assert concepts()[part.name].side == question.side, question.sentence
            if isinstance(part, In) and part.where in TOWNS:
                assert TOWNS[part.where].side == question.side, question.sentence
            if isinstance(part, Reads) and question.answerable:
                assert side_of(part.text) == question.side
    sides = Counter(question.side for question in asked)
    assert abs(sides["dev"] - sides["test"]) <= 20


def test_times_are_within_the_story(asked: list[Question]) -> None:
    for question in asked:
        for part in question.rule.parts:
            if isinstance(part, Taken) and question.answerable:
                assert part.start < NOW
                assert part.end.date() > FIRST
    assert len({when.english for when in TIMES}) == len({when.chinese for when in TIMES}) == len(TIMES)


def test_home_is_not_asked_for_as_a_journey(asked: list[Question]) -> None:
    places = [q for q in asked if q.kind in ("time+place", "place+thing", "time+place+thing")]
    assert not [q for q in places if In(HOME) in q.rule.parts]


@pytest.mark.parametrize(
    ("noun", "several", "single"),
    [
        ("penguin", "penguins", "a penguin"),
        ("owl", "owls", "an owl"),
        ("sheep", "sheep", "a sheep"),
        ("butterfly", "butterflies", "a butterfly"),
        ("toy", "toys", "a toy"),
        ("bus", "buses", "a bus"),
        ("church", "churches", "a church"),
        ("glass of water", "glasses of water", "a glass of water"),
        ("moon", "the moon", "the moon"),
        ("garlic", "garlic", "garlic"),
        ("scissors", "scissors", "scissors"),
    ],
)
def test_english_nouns(noun: str, several: str, single: str) -> None:
    assert plural(noun) == several
    assert one(noun) == single
