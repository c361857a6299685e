"""Several conversations read on side by side: each is what it is alone, however they come and go."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.messages import Message, user
from isthmus.options import Options
from isthmus.vlm.conversation import Conversation, Turn
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.reading import CausalReading, JoinedReadings
from tests.vlm import models

ASKED = ("?", "what is it?", "how many dogs are in it, and of what colour?", "why?")
OPTIONS = Options(max_tokens=12)
GOES_ON = ("step", *(("let in", at) for at in range(len(ASKED))), *(("let go", at) for at in range(3)))


@cache
def model(kind: str) -> VisionLanguageModel:
    return models.model(kind)


def asked(at: int) -> list[Message]:
    return [user(models.picture(at), ASKED[at])]


def begin(kind: str, at: int) -> tuple[Conversation, Turn]:
    talk = model(kind).conversation()
    return talk, talk.begin(asked(at), OPTIONS)


def reading(talk: Conversation) -> CausalReading:
    assert isinstance(talk.reading, CausalReading)
    return talk.reading


@cache
def alone(kind: str, at: int) -> list[int]:
    """The tokens of that answer."""
    talk, turn = begin(kind, at)
    tokens = [turn.token]
    while not turn.ended:
        turn.take(talk.reading.step(turn.token))
        tokens.append(turn.token)
    return tokens


@pytest.mark.parametrize("kind", ["chatml-llama", "blip2-opt"])
@settings(max_examples=25, deadline=None)
@given(events=st.lists(st.sampled_from(GOES_ON), min_size=3, max_size=20))
def test_each_is_what_it_is_alone(kind: str, events: list[Any]) -> None:
    joined = JoinedReadings(model(kind))
    rows: list[tuple[int, Conversation, Turn, list[int]]] = []

    def let_go(row: int) -> None:
        """And it is read to its end by itself."""
        at, talk, turn, tokens = rows.pop(row)
        joined.remove(row)
        while not turn.ended:
            turn.take(talk.reading.step(turn.token))
            tokens.append(turn.token)
        assert tokens == alone(kind, at)

    for event in [*events, "step"]:
        match event:
            case "step" if rows:
                logits = joined.step([turn.token for _, _, turn, _ in rows])
                for (_, _, turn, tokens), each in zip(rows, logits, strict=True):
                    turn.take(each[None])
                    tokens.append(turn.token)
                for row in reversed(range(len(rows))):
                    if rows[row][2].ended:
                        let_go(row)
            case ("let in", at):
                talk, turn = begin(kind, at)
                joined.add(reading(talk))
                rows.append((at, talk, turn, [turn.token]))
            case ("let go", row) if row < len(rows):
                let_go(row)
        assert len(joined) == len(rows)
    while rows:
        let_go(0)


def test_an_interrupted_step_changes_nothing() -> None:
    joined = JoinedReadings(model("chatml-llama"))
    talks = [begin("chatml-llama", at) for at in (0, 1)]
    for talk, _ in talks:
        joined.add(reading(talk))
    layer = model("chatml-llama").language_model.model.layers[1]
    handle = layer.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        joined.step([turn.token for _, turn in talks])
    handle.remove()
    tokens = [[turn.token] for _, turn in talks]
    for _ in range(5):
        logits = joined.step([turn.token for _, turn in talks])
        for (_, turn), each, said in zip(talks, logits, tokens, strict=True):
            turn.take(each[None])
            said.append(turn.token)
    assert tokens == [alone("chatml-llama", at)[:6] for at in (0, 1)]


def test_what_was_read_together_is_kept_for_the_next_turn() -> None:
    joined = JoinedReadings(model("chatml-llama"))
    (first, turn), (second, other) = begin("chatml-llama", 1), begin("chatml-llama", 2)
    for talk in (first, second):
        joined.add(reading(talk))
    joined.step([turn.token, other.token])
    joined.remove(0)
    again = first.begin(asked(1), OPTIONS)
    tokens = [again.token]
    while not again.ended:
        again.take(first.reading.step(again.token))
        tokens.append(again.token)
    assert tokens == alone("chatml-llama", 1)
    assert again.answer().tokens_reused == again.answer().tokens_in - 1
