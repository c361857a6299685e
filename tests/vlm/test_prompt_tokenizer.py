"""Ids are the tokenizer's own on the whole text, and typed text forges no control token."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from isthmus.errors import InputError
from isthmus.messages import Message, assistant, user
from isthmus.vlm.prompt_tokenizer import PICTURE, PromptTokenizer, Run
from isthmus.vlm.template import ChatML, ControlPiece, Template, TextPiece, Vicuna

from . import models as made

TOKENIZERS: dict[str, Any] = {"bytes": made.byte_bpe(), "spm": made.spm_bpe(), "spm legacy": made.spm_bpe(legacy=True)}
PROMPTS = {name: PromptTokenizer(each) for name, each in TOKENIZERS.items()}
SPECIAL = ["<image>", "<|im_end|>", "<|im_start|>", "</s>", "<s>", "<pad>", "<unk>"]
typed = st.lists(
    st.sampled_from([*SPECIAL, "<", ">", "What", " is", "  ", "\n", "the picture", "é", "猫", "🚀", "<0x41>", "▁", "s"])
    | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\ufdd0\ufdd1"), max_size=5),
    max_size=8,
).map("".join)
plain = typed.filter(lambda text: not any(each in text for each in SPECIAL))


def text(template: Template, messages: list[Message]) -> str:
    pieces = template.pieces(messages, prompt=False)
    return "".join(piece.text if isinstance(piece, TextPiece) else piece.token for piece in pieces)


def ids(template: Template, messages: list[Message], prompts: PromptTokenizer) -> list[int]:
    return [token.id for token in prompts.encode(template.pieces(messages, prompt=False))]


@settings(max_examples=60)
@given(plain, plain)
def test_bytes_ids_are_the_tokenizers(question: str, answer: str) -> None:
    said = [user(question), assistant(answer)]
    theirs = TOKENIZERS["bytes"].encode(text(ChatML("Hi."), said), add_special_tokens=False)
    assert ids(ChatML("Hi."), said, PROMPTS["bytes"]) == theirs


@pytest.mark.parametrize("name", ["spm", "spm legacy"])
@settings(max_examples=60)
@given(question=plain, answer=plain)
def test_sentencepiece_ids_are_the_tokenizers(name: str, question: str, answer: str) -> None:
    """Vicuna's <s> is put in front by the tokenizer itself: the text begins behind it."""
    said = [user(question), assistant(answer), user("And?"), assistant("No.")]
    theirs = TOKENIZERS[name].encode(text(Vicuna(), said).removeprefix("<s>"))
    assert ids(Vicuna(), said, PROMPTS[name]) == theirs


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_a_picture_parts_the_text_as_its_token_would(name: str) -> None:
    tokenizer, prompts = TOKENIZERS[name], PROMPTS[name]
    image = tokenizer.convert_tokens_to_ids("<image>")
    before, behind = TextPiece("USER: ", "user"), TextPiece("\nWhat is it?", "user")
    ours = [token.id for token in prompts.encode([before, Run(5), behind])]
    theirs = tokenizer.encode("USER: <image>\nWhat is it?", add_special_tokens=False)
    assert [image if id_ == PICTURE else id_ for id_ in ours] == theirs


@pytest.mark.parametrize("name", list(TOKENIZERS))
@settings(max_examples=60)
@given(said=typed)
def test_text_never_becomes_a_control_token(name: str, said: str) -> None:
    tokenizer, prompts = TOKENIZERS[name], PROMPTS[name]
    control = {id_ for each in SPECIAL if (id_ := prompts.control(each)) is not None} - {tokenizer.unk_token_id}
    placed = prompts.encode([TextPiece("user\n", "user"), TextPiece(said, "user"), TextPiece(" ok", "user")])
    found = [token.id for token in placed]
    assert not control & set(found)
    decoded = tokenizer.decode(found, clean_up_tokenization_spaces=False)
    if name == "bytes":
        assert decoded == f"user\n{said} ok"  # and nothing is lost


@pytest.mark.parametrize("name", list(TOKENIZERS))
@settings(max_examples=60)
@given(said=st.lists(typed, min_size=1, max_size=6))
def test_each_token_counts_to_the_piece_of_its_last_character(name: str, said: list[str]) -> None:
    prompts = PROMPTS[name]
    end = "</s>"
    pieces = [piece for each in said for piece in (TextPiece(each, "user"), ControlPiece(end, "user"), Run(2))]
    placed = prompts.encode(pieces)
    assert [token.piece for token in placed] == sorted(token.piece for token in placed)
    for at, piece in enumerate(pieces):
        mine = [token.id for token in placed if token.piece == at]
        if isinstance(piece, ControlPiece):
            assert mine == [prompts.control(end)]
        elif isinstance(piece, Run):
            assert mine == [PICTURE]
        else:
            assert bool(mine) == bool(piece.text) or name != "bytes"  # a word mark may stand for an empty text


def test_a_token_across_two_pieces_counts_to_the_later() -> None:
    placed = PROMPTS["bytes"].encode([TextPiece("Wh", "user"), TextPiece("at", "assistant", trained=True)])
    assert [(TOKENIZERS["bytes"].decode([token.id]), token.piece) for token in placed] == [("What", 1)]


def test_a_vocabulary_that_lists_its_control_tokens_as_words() -> None:
    """Unigram models (T5) score "</s>" like a word: it must not be cut out of a typed text."""
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((each, -9.0) for each in "<>/sabc")]
    backend = Tokenizer(models.Unigram(words, unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    found = [token.id for token in PromptTokenizer(tokenizer).encode([TextPiece("a</s>b", "user")])]
    assert tokenizer.convert_ids_to_tokens(found) == ["▁", "a", "<", "/", "s", ">", "b"]


def test_merges_that_spell_a_control_token_are_not_used() -> None:
    vocab = {each: at for at, each in enumerate(["<", "/", "s", ">", "</", "s>", "</s>"])}
    merges = [("<", "/"), ("s", ">"), ("</", "s>")]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab, merges)), eos_token="</s>")
    found = [token.id for token in PromptTokenizer(tokenizer).encode([TextPiece("</s>", "user")])]
    assert tokenizer.convert_ids_to_tokens(found) == ["</", "s>"]


def test_tokens_that_eat_the_blanks_beside_them() -> None:
    """As Phi-3's <|end|> does: what stood in the text is gone, as it is for the tokenizer on the whole text."""
    backend = Tokenizer.from_str(made.byte_bpe().backend_tokenizer.to_str())
    backend.add_special_tokens([AddedToken("<|end|>", rstrip=True, special=True)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    pieces = [TextPiece("What", "user"), ControlPiece("<|end|>", "user"), TextPiece("\nis it", "user")]
    ours = [token.id for token in PromptTokenizer(tokenizer).encode(pieces)]
    assert ours == tokenizer.encode("What<|end|>\nis it", add_special_tokens=False)


def test_a_saved_truncation_or_padding_is_not_applied() -> None:
    """Some tokenizers were saved with one; a prompt that is too long is an error, never a shorter prompt."""
    backend = Tokenizer.from_str(made.byte_bpe().backend_tokenizer.to_str())
    backend.enable_truncation(3)
    backend.enable_padding(length=64)
    prompts = PromptTokenizer(PreTrainedTokenizerFast(tokenizer_object=backend))
    pieces = [TextPiece("What is in the picture? A cat on a wooden table.", "user")]
    assert prompts.encode(pieces) == PROMPTS["bytes"].encode(pieces)


def test_what_cannot_be_tokenized_is_said() -> None:
    prompts = PROMPTS["spm"]
    with pytest.raises(InputError, match=r"the tokenizer has no token <\|im_start\|>: the prompt template asks for it"):
        prompts.encode([ControlPiece("<|im_start|>", "user")])
    with pytest.raises(InputError, match=r"holds U\+FDD0 or U\+FDD1"):
        prompts.encode([TextPiece("\ufdd02\ufdd1", "user")])
    with pytest.raises(InputError, match="the tokenizer object cannot be used"):
        PromptTokenizer(object())
