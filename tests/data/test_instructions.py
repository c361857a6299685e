"""Captions and short questions as instructions: varied, and the same again for the same seed, place and epoch."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.data import instructions
from isthmus.data.example import Example
from isthmus.data.instructions import instruct
from isthmus.data.rows import asked, captioned
from isthmus.messages import ImagePart, assistant, user

PICTURE = ImagePart("a.png")


def caption(*texts: str, place: str = "here") -> Example:
    return captioned([PICTURE], texts, place)


def question(answer: str, text: str = "what is it?", place: str = "here") -> Example:
    return asked([PICTURE], text, answer, (), place)


@given(seed=st.integers(0, 9), epoch=st.integers(0, 9), place=st.text())
def test_the_same_key_gives_the_same_text(seed: int, epoch: int, place: str) -> None:
    for example in (caption("a cat", "a pet", place=place), question("yes", place=place)):
        made = instruct(example, seed=seed, epoch=epoch)
        assert made == instruct(example, seed=seed, epoch=epoch)
        assert made.messages[0].pictures == (PICTURE,)
        assert (made.place, made.answers, made.kind) == (example.place, example.answers, example.kind)


@pytest.mark.parametrize(
    ("text", "wordings"),
    [
        ("a cat", instructions.NAMING),
        ("a cat that lies on a sofa", instructions.BRIEF),
        ("a cat " * 20, instructions.DETAILED),
        ("一只猫", instructions.NAMING_CHINESE),
        ("一只猫在窗台上晒太阳", instructions.NAMING_CHINESE),
        ("一只猫在窗台上晒太阳和睡觉", instructions.BRIEF_CHINESE),
        ("一只猫在窗台上晒太阳，" * 6, instructions.DETAILED_CHINESE),
    ],
)
def test_wordings_fit_the_caption_and_are_all_used(text: str, wordings: tuple[str, ...]) -> None:
    assert len(set(wordings)) == len(wordings) >= 8
    places = Counter(instruct(caption(text, place=f"{at}"), seed=0).messages[0].text for at in range(400))
    epochs = Counter(instruct(caption(text), seed=0, epoch=at).messages[0].text for at in range(400))
    seeds = Counter(instruct(caption(text), seed=at).messages[0].text for at in range(400))
    assert set(places) == set(epochs) == set(seeds) == set(wordings)


@given(st.integers(1, 5), st.integers(0, 9))
def test_each_caption_once_in_as_many_epochs(count: int, start: int) -> None:
    example = caption(*(f"caption {at}" for at in range(count)))
    said = [instruct(example, seed=1, epoch=start + at).messages[1].text for at in range(count)]
    assert sorted(said) == sorted(example.answers)


def test_short_answers_are_asked_for_shortly() -> None:
    made = instruct(question("a cat"), seed=0)
    assert made.messages[0].text.split("\n")[0] == "what is it?"
    assert made.messages[0].text.split("\n")[1] in instructions.SHORT
    assert made.messages[1] == assistant("a cat")
    chinese = instruct(question("一只猫", "这是什么？"), seed=0)
    assert chinese.messages[0].text.split("\n")[1] in instructions.SHORT_CHINESE


def test_what_is_an_instruction_already_stays() -> None:
    long = question("it is a cat that lies on a sofa in the sun")
    conversation = Example((user(PICTURE, "what?"), assistant("a cat")), "here")
    several = Example((user(PICTURE, "what?"), assistant("a"), user("and?"), assistant("b")), "here", ("b",))
    text = Example((assistant("a text alone"),), "here")
    for example in (long, conversation, several, text):
        assert instruct(example, seed=0) is example
