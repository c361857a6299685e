"""Text that grows: the same as decoding all tokens at once, never a broken character, never half a stop string."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.options import Options
from isthmus.text_stream import UNFINISHED
from isthmus.vlm.decoding import Chooser, TextGrower

from . import models

TOKENIZERS: dict[str, Any] = {"bytes": models.byte_bpe(), "spm": models.spm_bpe(), "spm legacy": models.spm_bpe(True)}
text = st.text(st.sampled_from("a cat é猫🚀\n[<x>") | st.characters(blacklist_categories=["Cs"]), max_size=30)


def grow(tokenizer: Any, ids: list[int], stop: tuple[str, ...] = (), lead: str = "") -> list[str]:
    grower = TextGrower(tokenizer, stop, lead)
    parts = []
    for id_ in ids:
        parts.append(grower.push(id_))
        if grower.stopped:
            break
    return [*parts, grower.finish()]


def decode(tokenizer: Any, ids: list[int]) -> str:
    whole: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return whole


@pytest.mark.parametrize("name", list(TOKENIZERS))
@settings(max_examples=60)
@given(said=text)
def test_what_has_grown_is_what_decoding_gives(name: str, said: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = tokenizer.encode(said, add_special_tokens=False)
    parts = grow(tokenizer, ids)
    assert "".join(parts) == decode(tokenizer, ids)
    assert UNFINISHED not in "".join(parts) or UNFINISHED in said


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(TOKENIZERS["bytes"]) - 1), max_size=20))
def test_any_tokens_at_all(ids: list[int]) -> None:
    """Also bytes that are no characters: what is shown is never taken back."""
    assert "".join(grow(TOKENIZERS["bytes"], ids)) == decode(TOKENIZERS["bytes"], ids)


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_a_character_of_several_tokens_comes_whole(name: str) -> None:
    ids = TOKENIZERS[name].encode("a🚩b", add_special_tokens=False)
    assert len(ids) > 4
    assert [part for part in grow(TOKENIZERS[name], ids) if "🚩" in part or UNFINISHED in part] == ["🚩"]


def test_words_come_as_soon_as_their_token_does() -> None:
    tokenizer = TOKENIZERS["bytes"]
    ids = tokenizer.encode("What is in the picture", add_special_tokens=False)
    assert all(grow(tokenizer, ids)[:-1])


@settings(max_examples=60)
@given(text, st.lists(st.text("a cat é猫", min_size=1, max_size=4), min_size=1, max_size=3))
def test_an_answer_is_cut_at_its_first_stop_string(said: str, stops: list[str]) -> None:
    tokenizer = TOKENIZERS["bytes"]
    ids = tokenizer.encode(said, add_special_tokens=False)
    whole = decode(tokenizer, ids)
    grower_stops = tuple(stops)
    parts = grow(tokenizer, ids, grower_stops)
    shown = "".join(parts)
    assert whole.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if not any(stop in whole for stop in stops):
        assert shown == whole
    else:
        assert any(whole[len(shown) :].startswith(stop) for stop in stops)


def test_of_two_stop_strings_in_one_token_the_first_counts() -> None:
    (token,) = TOKENIZERS["bytes"].encode("What", add_special_tokens=False)
    for stops in (("h", "t"), ("t", "h")):
        assert "".join(grow(TOKENIZERS["bytes"], [token], stops)) == "W"


def test_what_may_become_a_stop_string_is_held_back() -> None:
    tokenizer = TOKENIZERS["bytes"]
    grower = TextGrower(tokenizer, ["x y!"], "")
    shown = [grower.push(id_) for id_ in tokenizer.encode("ax yz", add_special_tokens=False)]
    assert "x" not in "".join(shown[:-1])
    assert "".join(shown) + grower.finish() == "ax yz"


def test_the_lead_is_left_out_once() -> None:
    tokenizer = TOKENIZERS["bytes"]
    for said, expected in ((" two dogs", "two dogs"), ("  two", " two"), ("two dogs", "two dogs"), (" ", "")):
        ids = tokenizer.encode(said, add_special_tokens=False)
        assert "".join(grow(tokenizer, ids, lead=" ")) == expected


def test_draws_follow_the_probabilities() -> None:
    """Frequencies of 4000 draws against softmax(logits / temperature), cut at top_p: five deviations at most."""
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0]).expand(4000, 4)
    for temperature, top_p in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.8)):
        drawn = Chooser(Options(temperature=temperature, top_p=top_p, seed=1), torch.device("cpu"))(logits)
        expected = (logits[0] / temperature).softmax(0)
        if top_p < 1:
            expected = torch.tensor([*expected[:2], 0.0, 0.0]) / expected[:2].sum()
        found = drawn.bincount(minlength=4) / 4000
        assert ((found - expected).abs() <= 5 * (expected * (1 - expected) / 4000).sqrt()).all()


def test_without_temperature_the_likeliest_is_taken() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert Chooser(Options(seed=4), torch.device("cpu"))(logits).tolist() == [1, 0]
