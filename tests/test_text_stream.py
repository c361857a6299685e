"""Tokens to text and stop strings: nothing lost, nothing half, however the pieces fall."""

from functools import cache
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from isthmus.text_stream import Detokenizer, StopStrings
from tests.backends import tiny

texts = st.text("ab c", max_size=30)
stops = st.lists(st.text("ab c", min_size=1, max_size=4), max_size=3)


@cache
def words():  # type: ignore[no-untyped-def]
    return tiny.tokenizer("<image>")


def decode(ids: list[int]) -> str:
    return words().decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@given(st.lists(st.integers(0, len(tiny.ALPHABET) + 7), max_size=40))
def test_any_tokens_join_to_the_decoding_of_all(ids: list[int]) -> None:
    detokenizer = Detokenizer(decode)
    joined = "".join([*(detokenizer.add(each) for each in ids), detokenizer.end()])
    assert joined == decode(ids)


def test_a_character_of_several_tokens_comes_whole() -> None:
    ids = words().encode("a中😀é", add_special_tokens=False)
    assert len(ids) > 4
    detokenizer = Detokenizer(decode)
    assert [text for each in ids if (text := detokenizer.add(each))] == ["a", "中", "😀", "é"]
    assert detokenizer.end() == ""


def test_half_a_character_at_the_end_is_shown_as_such() -> None:
    detokenizer = Detokenizer(decode)
    *_, first, _ = words().encode("é", add_special_tokens=False)
    assert detokenizer.add(first) == ""
    assert detokenizer.end() == "\ufffd"


def test_leading_spaces_of_sentencepiece_survive() -> None:
    """Such decoders drop the space before the first piece only: decoding a piece alone would lose it."""
    pieces = ["▁the", "▁cat", "s", "▁sat"]
    detokenizer = Detokenizer(lambda ids: "".join(pieces[each] for each in ids).replace("▁", " ").removeprefix(" "))
    assert [detokenizer.add(each) for each in range(4)] == ["the", " cat", "s", " sat"]


@given(texts, stops, st.lists(st.integers(0, 30), max_size=8))
def test_how_the_text_is_cut_into_pieces_does_not_matter(text: str, stops: list[str], cuts: list[int]) -> None:
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert run(stops, pieces) == run(stops, [text]) == run(stops, list(text))


@given(texts, stops)
def test_text_ends_before_the_stop_string_that_is_completed_first(text: str, stops: list[str]) -> None:
    said, found = run(stops, list(text))
    assert text.startswith(said)
    ends = [end for end in range(len(text) + 1) for stop in stops if text[:end].endswith(stop)]
    assert found == bool(ends)
    if not ends:
        assert said == text
    else:
        longest = max(len(stop) for stop in stops if text[: ends[0]].endswith(stop))
        assert said == text[: ends[0] - longest]


def test_text_is_held_back_only_while_it_may_become_a_stop_string() -> None:
    cutter = StopStrings(["\nUser:"])
    assert [cutter.add(piece) for piece in ("Yes.", "\n", "Us", "ually", "\nUse", "r: no")] == [
        "Yes.", "", "", "\nUsually", "", "",
    ]  # fmt: skip
    assert cutter.found
    assert cutter.end() == ""


def run(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    cutter = StopStrings(stops)
    said = "".join(cutter.add(piece) for piece in pieces)
    return said + cutter.end(), cutter.found
