"""Texts are found in what was read, with the mistakes recognisers make, and nothing else is."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.photos.store import Library
from isthmus.photos.text.find import held_in, matches
from isthmus.photos.text.fold import words_of
from isthmus.photos.text.nearly import distance, nearly, parts_of, slips
from isthmus.photos.text.rank import ranked

Keep = Callable[..., int]


@pytest.mark.parametrize(
    ("read", "asked"),
    [
        (("NO PARKING",), "no parking"),
        (("NOPARKING",), "no parking"),
        (("N O PARKING",), "No Parking"),
        (("NO", "PARKING"), "no parking"),
        (("STAFFONLY",), "staff"),
        (("Harbour Books",), "book"),
        (("小心地滑",), "地滑"),
        (("小心地滑",), "滑"),
        (("前方施工",), "前方施工"),
        (("臺北車站",), "台北车站"),
        (("取件码 8-3-2046",), "2046"),
        (("TOTAL 45.2O",), "45.20"),
        (("EX1T",), "exit"),
        (("Boardng pass",), "boarding pass"),
        (("Boarding passs MU587",), "boarding pass MU587"),
        (("Reservatlon",), "reservation"),
        (("高铁二等座车厢", "07"), "高铁一等座车厢"),
        (("OK",), "ok"),
    ],
)
def test_it_is_found(library: Library, keep: Keep, read: tuple[str, ...], asked: str) -> None:
    photo = keep(*read)
    keep("something else", "别的")
    assert list(matches(library, asked)) == [photo]


@pytest.mark.parametrize(
    ("read", "asked"),
    [
        ("communication", "cat"),
        ("a mall", "mail"),
        ("4520", "520"),
        ("82019", "2019"),
        ("482913", "482918"),
        ("code 482913", "code 482918"),
        ("禁止行车", "禁止停车"),
        ("10am", "loam"),
        ("okay", "ok"),
    ],
)
def test_it_is_not_found(library: Library, keep: Keep, read: str, asked: str) -> None:
    keep(read)
    assert matches(library, asked) == {}


def test_whole_words_come_first_then_parts_then_what_is_nearly_there(library: Library, keep: Keep) -> None:
    nearly, part, whole = keep("receipl"), keep("receipts"), keep("the receipt")
    found = matches(library, "receipt")
    assert list(found) == [whole, part, nearly]
    assert [int(match.score) for match in found.values()] == [2, 1, 0]


def test_a_match_has_the_lines_it_stands_in(library: Library, keep: Keep) -> None:
    photo = keep("above", "please", "...", "mind the", "gap", "below")
    found = matches(library, "mind the gap")[photo]
    assert found.snippet == "mind the / gap"
    assert [line.y for line in found.lines] == [pytest.approx(0.3), pytest.approx(0.4)]


def test_only_of_some_photos(library: Library, keep: Keep) -> None:
    first, second = keep("EXIT"), keep("EXIT")
    assert list(matches(library, "exit", {second})) == [second]
    assert list(ranked(library, "exit", {first})) == [first]


def test_what_is_read_anew_takes_the_place_of_what_was(library: Library, keep: Keep) -> None:
    photo = keep("Frist", "and more")
    keep("First", photo=photo)
    assert matches(library, "and more") == ranked(library, "more") == {}
    assert matches(library, "first")[photo].snippet == "First"
    assert library.query("SELECT count(*) FROM text_lines") == [(1,)]


def test_any_word_ranks(library: Library, keep: Keep) -> None:
    both = keep("Blue Door Bakery", "total")
    one = keep("bakery and many other words about this and that and nothing much")
    chinese = keep("生日快乐")
    for _ in range(8):
        keep("nothing of it")
    found = ranked(library, "the bakery with a blue door")
    assert list(found) == [both, one]
    assert all(0 < match.score < 1 for match in found.values())
    assert found[both].snippet == "Blue Door Bakery"
    assert list(ranked(library, "去年的生日蛋糕")) == [chinese]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(
        st.text(max_size=40),
        st.text(alphabet="ab\"'*()^:-+{}~\x00\ud800 中NEAROT", max_size=20),
        st.sampled_from(["text_runs:", '"', '""', "a AND", "NEAR(a b)", "a*", "^a", "-a", "\x00", "😀", "words : a"]),
    )
)
def test_no_string_is_anything_but_a_text(library: Library, keep: Keep, asked: str) -> None:
    keep("a quiet page", photo=1)
    for found in (matches(library, asked), ranked(library, asked)):
        assert set(found) <= {1}
    if not words_of(asked):
        assert matches(library, asked) == ranked(library, asked) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(alphabet="abcO0l1I 中文禁止,.", max_size=30), st.data())
def test_every_text_is_found_where_it_stands_as_whole_words(
    library: Library, keep: Keep, text: str, data: st.DataObject
) -> None:
    keep(text, photo=1)
    words = words_of(text)
    start = data.draw(st.integers(0, len(words)))
    asked = " ".join(words[start : data.draw(st.integers(start, len(words)))])
    # Folding may put other parts of a text together once it is divided: only what stays as it is must be found.
    if asked and words_of(asked) == asked.split():
        assert matches(library, asked)[1].score >= 2


@given(st.text(alphabet="abcd1", min_size=6, max_size=16), st.data())
def test_nearly_is_what_its_distance_says_and_the_index_misses_none(wanted: str, data: st.DataObject) -> None:
    run = wanted
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(run)))
        run = run[:at] + data.draw(st.sampled_from(["", "x", "a"])) + run[at + data.draw(st.integers(0, 1)) :]
    figures = [each for each in run if each == "1"]
    near = distance(wanted, run) <= slips(wanted) and len(figures) == wanted.count("1")
    assert (nearly(wanted, run, {0, len(run)}) is not None) == (near and bool(parts_of(wanted)))
    if near and parts_of(wanted):
        assert any(part in run for part in parts_of(wanted))
    assert all(len(part) >= 3 for part in parts_of(wanted))


def test_where_it_stands_best_is_told() -> None:
    held = held_in("parking\nno parking\nmind the gap", ["parking"])
    assert held is not None and (held.how, held.first, held.last) == (2, 0, 0)
