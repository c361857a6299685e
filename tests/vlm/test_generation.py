"""Answers: streamed, sampled, in batches; and read once."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import InputError, PictureError
from isthmus.images.views import Picture
from isthmus.messages import Message, assistant, system, user
from isthmus.options import Options
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.splice import Side

from . import models
from .models import KINDS, picture, shown

MODELS = {kind: models.model(kind) for kind in KINDS}
A, B = picture(1), picture(2, 30, 60)
QUESTIONS = ("what is it?", "how many dogs are there, and where?", "é猫?")


@contextmanager
def read_lengths(model: VisionLanguageModel) -> Iterator[list[int]]:
    """How many positions each call of the language model reads."""
    seen: list[int] = []

    def note(_: Any, __: Any, given: dict[str, Any], ___: Any) -> None:
        seen.append((given["inputs_embeds"] if given.get("inputs_embeds") is not None else given["input_ids"]).shape[1])

    handle = model.language_model.base_model.register_forward_hook(note, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


def expected(model: VisionLanguageModel, messages: list[Message], count: int) -> list[int]:
    """Greedy tokens by transformers' own generate from the same embeddings."""
    pictures = [part.source for each in messages for part in each.pictures]
    features = model.encode([Picture(each, *each.size) for each in pictures]) if pictures else None
    sample = model.sample(messages, model.extents(features) if features else (), prompt=True)
    batch = model.splice([sample], model.connect(features) if features else None)
    out = model.language_model.generate(
        inputs_embeds=batch.embeds, attention_mask=batch.mask, max_new_tokens=count, do_sample=False, pad_token_id=0,
        eos_token_id=[model.prompts.control(end) or 0 for end in model.template.ends],
    )  # fmt: skip
    return out[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pictures", [1, 2])
def test_greedy_tokens_are_those_of_generate(kind: str, pictures: int) -> None:
    model = MODELS[kind]
    for question in QUESTIONS:
        messages = [user(*[A, B][:pictures], question)]
        answer = model.answer(messages, max_tokens=12)
        assert answer.text == shown(model, expected(model, messages, 12))
        assert answer.model == f"tiny {kind}"


def conversations(kind: str) -> list[list[Message]]:
    """Of different lengths, with no picture, one and two, one of them with turns before."""
    texts = [] if kind == "blip2-opt" else [[user("é猫?")], [user("why? " * 9), assistant("so"), user("and?")]]
    return [
        [user(A, "what is it?")],
        *texts,
        [user(A, B, "how many dogs are there, and where do they run to?")],
        [user(B, "q"), assistant("a small red apple"), user("sure?")],
    ]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_batched_is_single(kind: str, side: Side) -> None:
    model = MODELS[kind]
    each = conversations(kind)
    together = model.answers(each, Options(16), padding=side)
    alone = [model.answer(messages, max_tokens=16) for messages in each]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert [answer.finish for answer in together] == [answer.finish for answer in alone]
    assert [answer.tokens_in for answer in together] == [answer.tokens_in for answer in alone]
    assert [answer.tokens_out for answer in together] == [answer.tokens_out for answer in alone]
    assert len({answer.text for answer in alone}) == len(alone)  # else it would prove little


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.text("what is a cat", max_size=40)), min_size=1, max_size=4),
    st.sampled_from(["left", "right"]),
)
def test_batched_is_single_whatever_is_asked(asked: list[tuple[int, str]], side: Side) -> None:
    model = MODELS["chatml-llama"]
    each = [[user(*[A, B][:pictures], question)] for pictures, question in asked]
    together = model.answers(each, Options(5), padding=side)
    assert [answer.text for answer in together] == [model.answer(said, max_tokens=5).text for said in each]


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_question_about_a_picture_reads_only_what_is_new(kind: str) -> None:
    model = models.model(kind)
    talk = model.conversation()
    first = talk.ask(A, QUESTIONS[0], Options(8))
    assert (model.encoder.pictures, first.tokens_reused) == (1, 0)
    with read_lengths(model) as lengths:
        second = talk.ask(A, QUESTIONS[1], Options(8))
    assert model.encoder.pictures == 1
    assert lengths[0] == second.tokens_in - second.tokens_reused
    assert second.tokens_reused >= 16  # the picture and what stands before it
    assert set(lengths[1:]) == {1}
    fresh = models.model(kind).ask(A, QUESTIONS[1], max_tokens=8)
    assert (second.text, second.finish, second.tokens_in) == (fresh.text, fresh.finish, fresh.tokens_in)


@pytest.mark.parametrize("kind", KINDS)
def test_a_next_turn_reads_only_what_is_new(kind: str) -> None:
    model = models.model(kind)
    talk, messages = model.conversation(), [user(A, B, QUESTIONS[0])]
    for question in QUESTIONS[1:]:
        first = talk.answer(messages, Options(8))
        messages += [assistant(first.text), user(question)]
    with read_lengths(model) as lengths:
        last = talk.answer(messages, Options(8))
    assert model.encoder.batches == 1
    assert lengths[0] == last.tokens_in - last.tokens_reused
    assert last.tokens_reused > 32
    assert last.text == models.model(kind).answer(messages, max_tokens=8).text


@settings(max_examples=12)
@given(
    st.lists(st.tuples(st.sampled_from(["", "A", "B", "AB", "BA"]), st.sampled_from(QUESTIONS)), min_size=2, max_size=5)
)
def test_whatever_was_asked_before_changes_no_answer(asked: list[tuple[str, str]]) -> None:
    model = MODELS["chatml-llama"]
    talk = model.conversation()
    for pictures, question in asked:
        messages = [user(*[{"A": A, "B": B}[each] for each in pictures], question)]
        assert talk.answer(messages, Options(6)).text == model.answer(messages, max_tokens=6).text


def test_the_same_question_again_reads_one_token() -> None:
    model = models.model()
    talk = model.conversation()
    first, second = talk.ask(A, "what?", Options(4)), talk.ask(A, "what?", Options(4))
    assert (second.text, second.tokens_reused) == (first.text, first.tokens_in - 1)


def test_a_prompt_that_ends_with_a_picture_can_be_asked_again() -> None:
    """BLIP-2's bare caption without an opening token: the last position is a picture's token."""
    model = models.model("blip2-opt", template=models.Blip2(bos=None))
    talk = model.conversation()
    first, second = talk.ask(A, "", Options(4)), talk.ask(A, "", Options(4))
    assert (second.text, second.tokens_reused) == (first.text, 15)


def test_pictures_are_known_by_content_alone(tmp_path: Path) -> None:
    """New bytes under an old path are a new picture; the same picture by another way is not."""
    model = models.model()
    talk, path = model.conversation(), tmp_path / "picture.png"
    A.save(path)
    first = talk.ask(path, "what?", Options(6))
    data = BytesIO()
    A.save(data, "PNG")
    for again in (str(path), data.getvalue(), A, Picture(A, *A.size)):
        assert talk.ask(again, "what?", Options(6)).text == first.text
    assert model.encoder.pictures == 1
    B.save(path)
    assert talk.ask(path, "what?", Options(6)).text == model.ask(B, "what?", max_tokens=6).text != first.text
    assert model.encoder.pictures == 3


def test_a_picture_is_all_that_the_encoder_and_the_boxes_see() -> None:
    """Equal sizes with other pixels, equal pixels in another shape, and equal images of other originals."""
    model = models.model()
    talk = model.conversation()
    flat, tall = Image.new("RGB", (40, 20)), Image.new("RGB", (20, 40))
    reduced = [Picture(A, 100, 80, reduced=2), Picture(A, 99, 80, reduced=2)]
    for at, each in enumerate((A, picture(7), flat, tall, *reduced), start=1):
        assert talk.ask(each, "what?", Options(2)).text == model.ask(each, "what?", max_tokens=2).text
        assert model.encoder.pictures == 2 * at
    talk.ask(reduced[1], "and?", Options(2))
    assert model.encoder.pictures == 2 * at


def test_a_picture_shown_twice_is_encoded_once() -> None:
    model = models.model()
    answer = model.answer([user(A, A, "the same?")], max_tokens=6)
    assert model.encoder.pictures == 1
    assert answer.text == model.answers([[user(A, A, "the same?")]], Options(6))[0].text


def test_an_interrupted_turn_spoils_nothing() -> None:
    model = models.model()
    talk = model.conversation()
    stream = talk.stream([user(A, "what?")], Options(20))
    next(stream)
    stream.close()
    assert talk.last is None
    layer = model.language_model.model.layers[1]
    handle = layer.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        talk.ask(A, "and now?", Options(3))
    handle.remove()
    answer = talk.ask(A, "and now?", Options(6))
    assert answer.text == model.ask(A, "and now?", max_tokens=6).text


def test_an_answer_cannot_go_on_after_another_was_begun() -> None:
    """It would read what the other one wrote."""
    model = models.model()
    talk = model.conversation()
    first = talk.stream([user(A, "what?")], Options(20))
    next(first)
    second = talk.ask(A, "and now?", Options(6))
    with pytest.raises(InputError, match="another was begun in the same conversation"):
        list(first)
    assert second.text == model.ask(A, "and now?", max_tokens=6).text
    assert talk.last == second


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_text_is_the_answer(kind: str) -> None:
    model = MODELS[kind]
    for temperature in (0.0, 2.0):
        talk = model.conversation()
        parts = list(talk.stream([user(A, "what?")], Options(30, temperature, seed=3)))
        assert talk.last is not None
        assert "".join(parts) == talk.last.text
        assert all(parts)
        assert (
            "".join(model.stream([user(A, "what?")], max_tokens=30, temperature=temperature, seed=3)) == talk.last.text
        )


def test_a_seed_gives_the_same_answer_again() -> None:
    model = MODELS["chatml-llama"]

    def answer(seed: int, **settings: float) -> str:
        return model.answer([user(A, "what?")], max_tokens=12, seed=seed, **settings).text

    assert answer(1, temperature=1.0) == answer(1, temperature=1.0)
    assert len({answer(seed, temperature=1.0) for seed in range(5)}) > 1
    assert answer(1, temperature=1.0, top_p=1e-6) == answer(2) == model.ask(A, "what?", max_tokens=12).text
    assert answer(1, temperature=1e-4) == answer(2)


def test_stop_strings_end_the_answer_and_are_not_shown() -> None:
    model = MODELS["chatml-llama"]
    whole = model.ask(A, "what?", max_tokens=40)
    for stop in (whole.text[9:12], whole.text[5:6], whole.text[-3:]):
        for answer in (
            model.answer([user(A, "what?")], max_tokens=40, stop=[stop]),
            model.answers([[user(A, "what?")]], Options(40, stop=(stop,)))[0],
        ):
            assert answer.text == whole.text[: whole.text.index(stop)]
            assert answer.finish == "stop"
            assert answer.tokens_out <= whole.tokens_out


def test_what_ends_an_answer() -> None:
    """The template's end token, and the one the language model was saved with; neither is text."""
    free = models.model()
    ids = expected(free, [user(A, "what?")], 10)
    third = free.tokenizer.decode(ids[:3], clean_up_tokenization_spaces=False)
    assert free.ask(A, "what?", max_tokens=10).finish == "length"
    ended = models.model()
    ended.language_model.generation_config.eos_token_id = [ids[3], 0]
    answer = ended.ask(A, "what?", max_tokens=10)
    assert (answer.text, answer.finish, answer.tokens_out) == (third, "stop", 4)


def test_an_answer_ends_where_the_context_does() -> None:
    model = models.model()
    room = 5
    question = "a"
    while model.answer([user(A, question)], max_tokens=1).tokens_in < 256 - room:
        question += "\na"
    answer = model.answer([user(A, question)], max_tokens=50)
    assert (answer.finish, answer.tokens_in + answer.tokens_out) == ("length", 256)
    batched = model.answers([[user(A, question)], [user("a")]], Options(20))
    assert batched[0].text == answer.text
    with pytest.raises(InputError, match="the language model reads at most 256"):
        model.answer([user(A, question + "\na" * 10)])


def test_the_first_token_is_timed_and_the_prompt_counted() -> None:
    answer = MODELS["chatml-llama"].answer([system("Be brief."), user(A, B, "what?")], max_tokens=3)
    assert answer.seconds_to_first > 0
    assert answer.tokens_out == 3
    assert answer.tokens_in > 32
    assert str(answer) == answer.text


def test_bad_settings_and_pictures_are_refused() -> None:
    model = MODELS["blip2-opt"]
    for settings_, said in [
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"temperature": -1.0}, "temperature is -1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"stop": [""]}, "none of them empty"),
    ]:
        with pytest.raises(InputError, match=said):
            model.answer([user(A, "what?")], **settings_)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="BLIP-2 was asked without a picture"):
        model.ask([], "what?")
    with pytest.raises(PictureError, match="nowhere does not exist"):
        model.ask("/nowhere", "what?")
    with pytest.raises(InputError, match="a int is no picture"):
        model.ask(3, "what?")


def test_nothing_is_kept_for_a_backward_pass() -> None:
    model = models.model()
    talk = model.conversation()
    talk.ask(A, "what?", Options(3))
    assert not any(seen.rows.requires_grad for seen in talk._seen.values())
    assert not talk.reading._cache.layers[0].keys.requires_grad
    assert torch.is_grad_enabled()
