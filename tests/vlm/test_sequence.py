"""Samples: labels stand where their tokens do, pictures where the template put them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InputError
from isthmus.messages import Message, Role, assistant, system, user
from isthmus.vlm.prompt_tokenizer import PICTURE, PromptTokenizer, Run
from isthmus.vlm.sequence import IGNORE, Extent, Laid, Sample, Slot, build
from isthmus.vlm.template import Blip2, ChatML, ControlPiece, Template, TextPiece, Vicuna

from . import models

SPM, BYTES = models.spm_bpe(), models.byte_bpe()
SPM_PROMPTS, BYTES_PROMPTS = PromptTokenizer(SPM), PromptTokenizer(BYTES)
words = st.text(st.sampled_from("what is a cat é猫<image>|im_end"), min_size=1, max_size=20).filter(str.strip)
turns = st.lists(st.tuples(words, words, st.integers(0, 2)), min_size=1, max_size=3)


def dialogue(said: list[tuple[str, str, int]]) -> list[Message]:
    """Questions with so many pictures in front, and answers."""
    return [
        message
        for question, answer, pictures in said
        for message in (user(*[b""] * pictures, question), assistant(answer))
    ]


def counts(messages: list[Message]) -> list[Extent]:
    """As many tokens as no other picture has."""
    return [Extent(3 + at) for at in range(sum(len(each.pictures) for each in messages))]


def labelled(sample: Sample) -> list[int]:
    return [label for label in sample.labels if label != IGNORE]


@settings(max_examples=60)
@given(turns)
def test_labels_are_the_answers_and_their_ends_and_nothing_else(said: list[tuple[str, str, int]]) -> None:
    messages = dialogue(said)
    sample = build(ChatML().pieces(messages, prompt=False), counts(messages), BYTES_PROMPTS)
    end = BYTES_PROMPTS.control("<|im_end|>")
    expected = [id_ for _, answer, _ in said for id_ in (*plain(answer), end)]
    assert labelled(sample) == expected
    assert sample.trained == len(expected)
    assert all(label in (IGNORE, id_) for label, id_ in zip(sample.labels, sample.ids, strict=True))
    assert {role for role, label in zip(sample.roles, sample.labels, strict=True) if label != IGNORE} == {"assistant"}


def plain(text: str) -> list[int]:
    return [token.id for token in BYTES_PROMPTS.encode([TextPiece(text, "user")])]


@settings(max_examples=60)
@given(turns)
def test_vicunas_labels_spell_the_answers(said: list[tuple[str, str, int]]) -> None:
    messages = dialogue(said)
    sample = build(Vicuna().pieces(messages, prompt=False), counts(messages), SPM_PROMPTS)
    decoded = SPM.decode(labelled(sample), clean_up_tokenization_spaces=False)
    assert decoded == "".join(f" {answer.strip()}</s>" for _, answer, _ in said).removeprefix(" ")


@pytest.mark.parametrize("template", [ChatML("Hi."), Vicuna()], ids=["chatml", "vicuna"])
@settings(max_examples=60)
@given(said=turns)
def test_pictures_stand_in_their_order_with_all_their_tokens(
    template: Template, said: list[tuple[str, str, int]]
) -> None:
    messages, prompts = dialogue(said), BYTES_PROMPTS if isinstance(template, ChatML) else SPM_PROMPTS
    extents = counts(messages)
    sample = build(template.pieces(messages, prompt=False), extents, prompts)
    assert [slot.picture for slot in sample.slots] == list(range(len(extents)))
    assert [slot.stop - slot.start for slot in sample.slots] == [each.tokens for each in extents]
    inside = {at for slot in sample.slots for at in range(slot.start, slot.stop)}
    assert {at for at, id_ in enumerate(sample.ids) if id_ == PICTURE} == inside
    assert all(sample.roles[at] == "user" for at in inside)


@settings(max_examples=60)
@given(turns)
def test_a_prompt_is_the_beginning_of_what_is_trained_on(said: list[tuple[str, str, int]]) -> None:
    """What the model is asked to continue is what it was trained to continue, token for token."""
    messages = dialogue(said)
    for template, prompts in ((ChatML(), BYTES_PROMPTS), (Vicuna(), SPM_PROMPTS)):
        whole = build(template.pieces(messages, prompt=False), counts(messages), prompts)
        prompt = build(template.pieces(messages[:-1], prompt=True), counts(messages), prompts)
        n = len(prompt.ids)
        assert whole.ids[:n] == prompt.ids
        assert all(label == IGNORE for label in prompt.labels) or len(said) > 1
        labels = [label != IGNORE for label in whole.labels[n:]]
        assert labels[0]
        assert labels == sorted(labels, reverse=True)  # the whole answer, then what the template puts behind it


def test_roles_follow_the_turns() -> None:
    said = [system("Be brief."), user(b"", "Why?"), assistant("So.")]
    sample = build(ChatML().pieces(said, prompt=False), [Extent(2)], BYTES_PROMPTS)
    shown = [role for at, role in enumerate(sample.roles) if not at or role != sample.roles[at - 1]]
    assert shown == ["system", "user", "assistant"]


def announced(extent: Extent, role: Role) -> list[Laid]:
    """As SmolVLM does: each row of tiles is announced by text and ends with a line break."""
    assert extent.grid is not None
    rows, columns = extent.grid
    out: list[Laid] = []
    for row in range(rows):
        for column in range(columns):
            out += [ControlPiece("<image>", role), TextPiece(f"row {row} column {column}", role), Run(2)]
        out.append(TextPiece("\n", role))
    return out


def test_a_layout_may_stand_text_between_a_pictures_tokens() -> None:
    pieces = ChatML().pieces([user(b"", "a"), user(b"", "b")], prompt=True)
    extents = [Extent(4, (1, 2)), Extent(8, (2, 2))]
    sample = build(pieces, extents, BYTES_PROMPTS, layout=announced)
    assert [slot.picture for slot in sample.slots] == [0, 0, 1, 1, 1, 1]
    assert sample.ids.count(BYTES_PROMPTS.control("<image>")) == 6
    decoded = BYTES.decode([id_ for id_ in sample.ids if id_ != PICTURE], clean_up_tokenization_spaces=False)
    assert "<image>row 1 column 0<image>row 1 column 1\n" in decoded
    with pytest.raises(InputError, match="the layout of picture 1 has room for 8 tokens: the connector makes 9 of it"):
        build(pieces, [extents[0], Extent(9, (2, 2))], BYTES_PROMPTS, layout=announced)


def test_pictures_and_features_must_be_as_many() -> None:
    pieces = ChatML().pieces([user(b"", b"", "a")], prompt=True)
    for given_ in (0, 1, 3):
        with pytest.raises(InputError, match=f"shows 2 pictures, but features of {given_} are given"):
            build(pieces, [Extent(2)] * given_, BYTES_PROMPTS)


def test_a_prompt_longer_than_the_context_is_refused() -> None:
    pieces = Blip2().pieces([user(b"", "what is it?")], prompt=True)
    whole = build(pieces, [Extent(32)], BYTES_PROMPTS)
    assert build(pieces, [Extent(32)], BYTES_PROMPTS, limit=len(whole.ids)) == whole
    with pytest.raises(InputError) as raised:
        build(pieces, [Extent(32)], BYTES_PROMPTS, limit=len(whole.ids) - 1)
    assert f"has {len(whole.ids)} tokens, 32 of them for 1 pictures" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_slot_begins_where_the_text_before_it_ends() -> None:
    sample = build(Blip2().pieces([user(b"", b"", "a")], prompt=True), [Extent(3), Extent(2)], BYTES_PROMPTS)
    assert sample.slots == (Slot(0, 0, 3), Slot(1, 3, 5))
    assert sample.ids[5] == BYTES_PROMPTS.control("</s>")
    assert sample.pictures == 2
    assert sample.trained == 0
