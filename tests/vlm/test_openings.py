"""What different conversations begin with is read once, and their answers are what they were."""

import pytest

from isthmus.messages import Message, assistant, system, user
from isthmus.options import Options
from isthmus.vlm.conversation import Conversation
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.openings import LEAST, MOST, Openings
from tests.vlm import models

FEW = Options(max_tokens=6)
LONG = "Answer in few words, and say what you cannot see rather than guess it."


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return models.model("vicuna-llama")


def asked(at: int, said: str | None = None) -> list[Message]:
    question = [user(models.picture(at), f"what is number {at}?")]
    return question if said is None else [system(said), *question]


def test_the_third_prompt_does_not_read_the_opening_again(model: VisionLanguageModel) -> None:
    openings = Openings()
    answers = [Conversation(model, openings).answer(asked(at), FEW) for at in range(3)]
    assert answers[0].tokens_reused == answers[1].tokens_reused == 0
    assert answers[2].tokens_reused > LEAST
    words = model.sample([user("what is number 2?")], prompt=True)
    assert answers[2].tokens_reused < len(words.ids)  # and nothing of the question or the picture
    assert [each.text for each in answers] == [model.answer(asked(at), max_tokens=6).text for at in range(3)]


def test_each_system_message_has_an_opening_of_its_own(model: VisionLanguageModel) -> None:
    openings = Openings()
    for said in (LONG, f"{LONG} And be polite."):
        for at in range(2):
            Conversation(model, openings).answer(asked(at, said), FEW)
    for said in (LONG, f"{LONG} And be polite.", "Something else altogether."):
        answer = Conversation(model, openings).answer(asked(7, said), FEW)
        assert answer.text == model.answer(asked(7, said), max_tokens=6).text
        assert (answer.tokens_reused > LEAST) == said.startswith(LONG)


def test_a_copy_is_not_changed_by_who_reads_on_from_it(model: VisionLanguageModel) -> None:
    openings = Openings()
    for at in range(2):
        Conversation(model, openings).answer(asked(at), FEW)
    talk = Conversation(model, openings)
    first = talk.answer(asked(3), FEW)
    talk.answer([*asked(3), assistant(first.text), user("and now?")], FEW)
    again = Conversation(model, openings).answer(asked(3), FEW)
    assert (again.text, again.tokens_reused) == (first.text, first.tokens_reused)


def test_no_more_than_so_many_are_kept(model: VisionLanguageModel) -> None:
    openings = Openings()
    for number in range(MOST + 3):
        for at in range(2):
            Conversation(model, openings).answer(asked(at, f"{number} is the number of this conversation."), FEW)
    assert len(openings._kept) == MOST


def test_an_encoder_decoder_keeps_none() -> None:
    openings = Openings()
    reading = models.model().batch_reading()
    openings.give(reading, [1, 2, 3])  # type: ignore[arg-type]
    openings.learn(reading, [1, 2, 3])  # type: ignore[arg-type]
    assert not openings._kept
