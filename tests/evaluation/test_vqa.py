"""VQA accuracy: the released rules, case by case, and what holds of any answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.evaluation.vqa import CONTRACTIONS, normalise, vqa_accuracy

TEN = 10


@pytest.mark.parametrize(
    ("typed", "compared"),
    [
        ("Yes.", "yes"),
        ("the  red\tcar\n", "red car"),
        ("An apple", "apple"),
        ("two", "2"),
        ("none", "0"),
        ("eleven", "eleven"),
        ("dont know", "don't know"),
        ("couldnt've", "couldn't've"),
        ("'ows'at", "'ow's'at"),
        ("isn't", "isn't"),
        ("somebody'd", "somebodyd"),  # the released table's own slip
        ("Im", "im"),  # its entries with capitals are never met
        ("black-and-white", "black and white"),  # a mark within a word becomes a space
        ("red, blue", "red blue"),  # one beside a space goes
        ("red ,blue", "red blue"),
        ("red,blue", "red blue"),
        ("1,000", "1000"),  # a comma between digits takes all marks with it
        ("10,000 t-shirts", "10000 tshirts"),
        ("3.5", "3.5"),
        ("3.5.", "3.5"),
        (".5", ".5"),
        ("u.s.", "us"),
        ("u.s.5", "us.5"),
        ("is it? yes!", "is it yes"),
        ("a", ""),
        ("", ""),
        ("猫。", "猫。"),
        ("." * 40, "." * 8),  # a flag stands where the count belongs: 32 periods go
    ],
)
def test_an_answer_is_compared_as_the_released_code_compares_it(typed: str, compared: str) -> None:
    assert normalise(typed) == compared


def test_the_table_of_contractions_is_of_its_size_and_its_words_keep() -> None:
    assert len(CONTRACTIONS) == 114
    assert not set("ABCDEFGHIJKLMNOPQRSTUVWXYZ") & set("".join(CONTRACTIONS))
    assert all(
        word.count("'") == spelled.count("'") + 1 for spelled, word in CONTRACTIONS.items() if word != "somebodyd"
    )


@pytest.mark.parametrize(
    ("matches", "accuracy"),
    [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)],
)
def test_ten_people_one_left_out_at_a_time(matches: int, accuracy: float) -> None:
    """Of 10, 3 say it: left out one of these 3, 2 of 9 match (2/3, three times), else 3 (1, seven times): .9."""
    people = ["yes"] * matches + [f"no {at}" for at in range(TEN - matches)]
    assert vqa_accuracy("Yes!", people) == pytest.approx(accuracy)


def test_answers_that_all_agree_are_normalised_too() -> None:
    assert vqa_accuracy("Yes.", ["yes"] * TEN) == 1.0


def test_one_answer_is_no_people() -> None:
    with pytest.raises(InputError, match="here are 1"):
        vqa_accuracy("yes", ["yes"])


answers = st.sampled_from(["yes", "no", "2", "a dog", "Two", "red, blue", "don't", ""])


@given(answers, st.lists(answers, min_size=TEN, max_size=TEN), st.randoms())
def test_accuracy_is_a_share_that_knows_no_order_and_grows_with_agreement(said: str, people: list[str], random) -> None:  # type: ignore[no-untyped-def]
    found = vqa_accuracy(said, people)
    assert 0 <= found <= 1
    mixed = list(people)
    random.shuffle(mixed)
    assert vqa_accuracy(said, mixed) == pytest.approx(found)
    other = next((at for at, each in enumerate(people) if normalise(each) != normalise(said)), None)
    if other is None:
        assert found == 1
    else:
        people[other] = said
        assert vqa_accuracy(said, people) >= found


@given(st.text(max_size=40))
def test_normalising_leaves_lower_case_words_one_blank_apart(text: str) -> None:
    found = normalise(text)
    assert found == " ".join(found.split())
    assert not {"a", "an", "the"} & set(found.split())
    assert not set(found) & set(';/[]"{}()=+\\_-><@`,?!')
