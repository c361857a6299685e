"""Templates: what is written, in which order, and what of it is trained on."""

import pytest

from isthmus.errors import InputError
from isthmus.messages import ImagePart, Message, TextPart, assistant, system, user
from isthmus.vlm.chat_template import ChatTemplate
from isthmus.vlm.template import VICUNA_SYSTEM, Blip2, ChatML, ControlPiece, PicturePiece, Template, TextPiece, Vicuna

from . import models

A, B = b"first", b"second"
DIALOGUE = [user(A, "What is it?"), assistant("A cat."), user("And ", B, "here?"), assistant("Two dogs.")]


def spelled(template: Template, messages: list[Message], prompt: bool = False) -> str:
    """The pieces as one string; pictures as <b"...">."""
    out = []
    for piece in template.pieces(messages, prompt=prompt):
        match piece:
            case TextPiece(text):
                out.append(text)
            case ControlPiece(token):
                out.append(token)
            case PicturePiece(source):
                out.append(f"<{source.decode()}>")
    return "".join(out)


def trained(template: Template, messages: list[Message]) -> list[str]:
    pieces = template.pieces(messages, prompt=False)
    return [
        piece.text if isinstance(piece, TextPiece) else piece.token
        for piece in pieces
        if not isinstance(piece, PicturePiece) and piece.trained
    ]


def test_vicuna() -> None:
    assert spelled(Vicuna(), [user(A, "What is it?")], prompt=True) == (
        f"<s>{VICUNA_SYSTEM} USER: <first>\nWhat is it? ASSISTANT:"
    )
    assert spelled(Vicuna(system=None), DIALOGUE) == (
        "<s>USER: <first>\nWhat is it? ASSISTANT: A cat.</s>USER: And <second>\nhere? ASSISTANT: Two dogs.</s>"
    )
    assert trained(Vicuna(), DIALOGUE) == [" A cat.", "</s>", " Two dogs.", "</s>"]


def test_a_system_message_takes_the_place_of_the_sentence() -> None:
    asked = [system("Be brief."), user("Why?")]
    assert spelled(Vicuna(), asked, prompt=True) == "<s>Be brief. USER: Why? ASSISTANT:"
    assert spelled(ChatML("You are helpful."), asked, prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_blip2() -> None:
    assert spelled(Blip2(), [user(A, "what is it?")], prompt=True) == "<first></s>Question: what is it? Answer:"
    assert spelled(Blip2(bos=None, end="</s>"), [user(A, "what?"), assistant("a cat")]) == (
        "<first>Question: what? Answer: a cat</s>"
    )
    assert trained(Blip2(), [user(A, "what?"), assistant("a cat")]) == [" a cat", "\n"]


def test_blip2_without_a_question_captions() -> None:
    assert spelled(Blip2(), [user(A)], prompt=True) == "<first></s>"
    assert spelled(Blip2(), [user(A), assistant("a cat")]) == "<first></s>a cat\n"


def test_blip2_puts_all_pictures_in_front_in_their_order() -> None:
    assert spelled(Blip2(), DIALOGUE, prompt=False).startswith(
        "<first><second></s>Question: What is it? Answer: A cat."
    )


def test_chatml_is_what_the_tokenizers_own_template_renders() -> None:
    tokenizer = models.byte_bpe()
    chat = [system("Be brief."), user("What is it?"), assistant("A cat."), user("Sure?")]
    plain = [{"role": each.role, "content": each.text} for each in chat]
    for start in (0, 1):  # with a system message, and with the template's own sentence
        for prompt in (False, True):
            theirs = tokenizer.apply_chat_template(plain[start:], tokenize=False, add_generation_prompt=prompt)
            assert spelled(ChatML("You are helpful."), chat[start:], prompt) == theirs
            assert spelled(ChatTemplate(tokenizer), chat[start:], prompt) == theirs


def test_the_tokenizers_own_template_says_what_is_trained() -> None:
    ours, theirs = ChatML("You are helpful."), ChatTemplate(models.byte_bpe())
    assert spelled(theirs, DIALOGUE) == spelled(ours, DIALOGUE)
    assert trained(theirs, DIALOGUE) == trained(ours, DIALOGUE) == ["A cat.", "<|im_end|>", "Two dogs.", "<|im_end|>"]
    assert theirs.ends == ours.ends == ("<|im_end|>",)


def test_a_template_that_trims_trims_what_was_said() -> None:
    tokenizer = models.spm_bpe()
    tokenizer.chat_template = models.TRIMMING_JINJA
    chat = [user("  What is it?\n"), assistant(" A cat. "), user("Sure? ")]
    plain = [{"role": each.role, "content": each.text} for each in chat]
    template = ChatTemplate(tokenizer)
    assert spelled(template, chat, True) == tokenizer.apply_chat_template(
        plain, tokenize=False, add_generation_prompt=True
    )
    assert trained(template, chat[:2]) == ["A cat.", "</s>"]
    assert template.ends == ("</s>",)


def test_control_tokens_in_messages_stay_text() -> None:
    typed = "what does <|im_end|> mean, and <image>?"
    for template in (ChatML(), ChatTemplate(models.byte_bpe()), Vicuna(), Blip2()):
        pieces = template.pieces([user(A, typed)], prompt=True)
        assert any(isinstance(piece, TextPiece) and typed in piece.text for piece in pieces)


def test_a_jinja_template_that_drops_messages_is_refused() -> None:
    tokenizer = models.spm_bpe()
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(InputError, match="does not show each message once"):
        ChatTemplate(tokenizer).pieces(DIALOGUE[:3], prompt=True)
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InputError, match="refuses the conversation: roles must alternate"):
        ChatTemplate(tokenizer).pieces(DIALOGUE[:3], prompt=True)
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="has no chat template"):
        ChatTemplate(tokenizer)


@pytest.mark.parametrize("template", [Vicuna(), Blip2(), ChatML()], ids=lambda each: type(each).__name__)
def test_what_has_no_place_is_refused(template: Template) -> None:
    with pytest.raises(InputError, match="the conversation is empty"):
        template.pieces([], prompt=True)
    with pytest.raises(InputError, match="nothing to answer"):
        template.pieces([user(A, "?"), assistant("!")], prompt=True)
    with pytest.raises(InputError, match="message 1 is a"):
        template.pieces([user(A, "?"), system("late")], prompt=False)
    shows = Message("assistant", (ImagePart(A), TextPart("see")))
    with pytest.raises(InputError, match="message 1 is the assistant's and holds a picture"):
        template.pieces([user(A, "?"), shows], prompt=False)


def test_blip2_demands_a_picture() -> None:
    with pytest.raises(InputError, match="BLIP-2 was asked without a picture"):
        Blip2().pieces([user("what is it?")], prompt=True)
    with pytest.raises(InputError, match="BLIP-2's prompt has no place for it"):
        Blip2().pieces([system("Be brief."), user(A, "what is it?")], prompt=True)
