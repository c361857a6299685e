"""What is asked, with the picture, without it and with another one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.backends.native import NativeBackend
from isthmus.data.example import Example
from isthmus.errors import InputError
from isthmus.evaluation.controls import GREY, blind, blind_by, donors, shown, shuffled
from isthmus.evaluation.questions import Question, survey
from isthmus.messages import Message, assistant, user
from tests.backends.scripted import Scripted
from tests.evaluation.sources import InMemory, question
from tests.vlm import models


def asked(number: int, *pictures: str) -> Question:
    return Question(number, f"record {number}", "", ("a",), pictures, False, f"hash {number}")


def test_a_survey_keeps_what_can_be_asked_and_names_the_rest(tmp_path: Path) -> None:
    text = Example((assistant("once upon a time"),), "memory, record 2")
    lost = Example((user(tmp_path / "lost.JPG", "what?"), assistant("a cat")), "memory, record 3")
    mute = Example((user(models.picture(1), "what?"), assistant(" ")), "memory, record 4")
    found = survey(InMemory([question(1), text, lost, mute, InputError("record 5 is no JSON")]))
    assert [each.place for each in found.questions] == ["memory, record 1"]
    assert [str(bad.error).split(" (")[0] for bad in found.bad] == [
        "memory, record 2 cannot be asked: it is no question with an answer",
        f"{tmp_path / 'lost.JPG'} does not exist",
        "memory, record 4 has an empty answer",
        "record 5 is no JSON",
    ]


def test_nothing_to_ask_is_said_with_the_first_reason() -> None:
    with pytest.raises(InputError, match="memory has nothing to ask: memory, record 1 cannot be asked"):
        survey(InMemory([Example((user("?"),), "memory, record 1")]))
    with pytest.raises(InputError, match="memory has nothing to ask"):
        survey(InMemory([]))


def test_a_hash_knows_what_a_picture_shows_and_not_where_it_lies(tmp_path: Path) -> None:
    def hashed(source: object, text: str = "what?") -> str:
        return survey(InMemory([Example((user(source, text), assistant("a cat")), "here")])).questions[0].hash

    for name in ("a.png", "b.png"):
        models.picture(1).save(tmp_path / name)
    first = hashed(tmp_path / "a.png")
    assert first == hashed(tmp_path / "b.png") == hashed((tmp_path / "a.png").read_bytes())
    assert len({first, hashed(tmp_path / "a.png", "who?"), hashed(models.picture(1)), hashed(models.picture(2))}) == 4
    models.picture(2).save(tmp_path / "a.png")
    assert hashed(tmp_path / "a.png") != first


def test_the_datas_fingerprint_knows_answers_too() -> None:
    one = survey(InMemory([question(1), question(2)]))
    assert one.fingerprint == survey(InMemory([question(1), question(2)], name="elsewhere")).fingerprint
    assert one.fingerprint != survey(InMemory([question(1), question(2, answer="a dog")])).fingerprint


def test_a_limit_draws_by_its_seed_and_keeps_the_order() -> None:
    source = InMemory([question(at) for at in range(30)])
    first = [each.at for each in survey(source, limit=8, seed=0).questions]
    assert first == sorted(first)
    assert len(set(first)) == 8
    assert first == [each.at for each in survey(source, limit=8, seed=0).questions]
    assert first != [each.at for each in survey(source, limit=8, seed=1).questions]
    assert len(survey(source, limit=99).questions) == 30


def test_only_the_last_answer_is_judged_and_the_turns_before_it_are_told() -> None:
    turns = (user(models.picture(1), "what?"), assistant("a cat"), user("sure?"), assistant("yes"))
    source = InMemory([Example(turns, "here")])
    found = survey(source).questions[0]
    assert found.answers == ("yes",)
    assert shown(source, found).messages() == turns[:3]


def test_blind_messages_lose_their_pictures_and_nothing_else() -> None:
    source = InMemory([question(1)])
    found = survey(source).questions[0]
    prompt = blind(source, found, "pictures removed")
    assert prompt.messages() == (user("what is number 1?"),)
    assert prompt.hash != found.hash
    grey = blind(source, found, "grey pictures")
    picture = grey.messages()[0].pictures[0].source
    assert picture.image.getcolors() == [(50 * 40, GREY)]
    assert (picture.width, picture.height) == (50, 40)
    assert len({prompt.hash, found.hash, grey.hash}) == 3


def test_where_a_picture_is_needed_it_is_grey() -> None:
    source = InMemory([question(1), question(2)])
    questions = survey(source).questions
    assert blind_by(NativeBackend(models.model()), source, questions) == "pictures removed"
    assert blind_by(NativeBackend(models.model("blip2-opt")), source, questions) == "grey pictures"
    assert blind_by(Scripted(), source, questions) == "pictures removed"
    caption = InMemory([question(1), Example((user(models.picture(2)), assistant("a cat")), "record 2")])
    assert blind_by(Scripted(), caption, survey(caption).questions) == "grey pictures"


def test_shuffled_questions_show_the_other_ones_picture() -> None:
    source = InMemory([question(1), question(2)])
    first, second = survey(source).questions
    prompt = shuffled(source, first, second)
    message = prompt.messages()[0]
    assert message.text == "what is number 1?"
    assert message.pictures[0].source.tobytes() == models.picture(2).tobytes()
    alike = survey(InMemory([question(1, picture=2)])).questions[0]
    assert prompt.hash == alike.hash, "the same is asked: the same answer"


def test_more_pictures_than_the_other_one_has_are_filled_up() -> None:
    two = Message("user", user(models.picture(1), models.picture(2), "same?").content)
    source = InMemory([Example((two, assistant("no")), "record 1"), question(3)])
    first, second = survey(source).questions
    seen = [part.source for part in shuffled(source, first, second).messages()[0].pictures]
    assert [each.tobytes() for each in seen] == [models.picture(3).tobytes()] * 2


pictures = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), min_size=2, max_size=20)


@given(pictures, st.integers(0, 5))
def test_nobody_sees_their_own_picture(shows: list[str], seed: int) -> None:
    questions = [asked(at, *filter(None, [each])) for at, each in enumerate(shows)]
    kinds = {each for each in shows if each}
    if len(kinds) == 1:
        with pytest.raises(InputError, match="all questions show the same"):
            donors(questions, seed)
        return
    found = donors(questions, seed)
    for question_, donor in zip(questions, found, strict=True):
        assert donor is question_ if not question_.pictures else donor.pictures != question_.pictures
    commonest = max((shows.count(each) for each in kinds), default=0)
    with_pictures = [each for each in questions if each.pictures]
    if commonest * 2 <= len(with_pictures):
        taken = [donor.at for donor in found if donor.pictures]
        assert sorted(taken) == [each.at for each in with_pictures], "each picture is shown once"


def test_seeds_shuffle_in_other_ways_and_again_the_same() -> None:
    questions = [asked(at, f"picture {at}") for at in range(30)]
    ways = [tuple(each.at for each in donors(questions, seed)) for seed in (0, 1, 0)]
    assert ways[0] == ways[2] != ways[1]
