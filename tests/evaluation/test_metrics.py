"""Exact match and caption metrics, against their reference packages."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InputError, MissingPart
from isthmus.evaluation.captions import bleu, bleu_counts, cider, words
from isthmus.evaluation.exact import exact_match
from isthmus.evaluation.metrics import fitting, metrics
from tests.evaluation.packages import required

PEOPLE = [
    ["A brown dog runs on the beach.", "a dog running along the sea"],
    ["two children play football in a park", "Kids kick a ball on the grass"],
    ["a bowl of fruit on a wooden table", "apples and pears in a bowl"],
]
MODEL = ["a dog runs on the beach", "children play in the grass", "a red bus in the street"]


@pytest.mark.parametrize(
    ("said", "expected", "right"),
    [
        ("A Cat.", ["a cat"], 1),
        (" a\ncat ", ["a cat"], 1),
        ("the cat", ["a cat"], 0),
        ("cat", ["dog", "Cat"], 1),
        ("ＡＢＣ", ["abc"], 1),
        ("一只猫。", ["一只猫"], 1),
        ("STRASSE", ["straße"], 1),
        ("3.5", ["3.5"], 1),
        ("", ["cat"], 0),
    ],
)
def test_exact_match(said: str, expected: list[str], right: int) -> None:
    assert exact_match(said, expected) == right


@pytest.mark.parametrize(
    ("caption", "cut"),
    [
        ("A man's T-shirt, isn't it?", ["a", "man's", "t-shirt", "isn't", "it"]),
        ("It’s 3 dogs!", ["it's", "3", "dogs"]),
        ("一只猫 sits", ["一", "只", "猫", "sits"]),
        ("ねこ", ["ね", "こ"]),
        ("ça va über", ["ça", "va", "über"]),
        ("snake_case", ["snake", "case"]),
        ("...", []),
    ],
)
def test_captions_are_cut_into_words(caption: str, cut: list[str]) -> None:
    assert words(caption) == cut


def test_cider_rewards_what_is_rare_and_shared() -> None:
    required("pycocoevalcap")
    scores = cider(MODEL, PEOPLE)
    assert scores.shape == (3,)
    assert scores[0] > scores[1] > scores[2] >= 0
    assert cider([each[0] for each in PEOPLE], [[each[0]] for each in PEOPLE]) == pytest.approx([10.0] * 3)


def test_cider_of_one_picture_is_nothing() -> None:
    required("pycocoevalcap")
    assert cider(["a dog"], [["a dog"]]) == pytest.approx([0.0])


def test_cider_of_empty_captions_is_nothing_and_of_no_expectation_refused() -> None:
    required("pycocoevalcap")
    assert cider(["", "..."], [["a dog"], ["a cat"]]) == pytest.approx([0.0, 0.0])
    with pytest.raises(InputError, match="no caption to compare with"):
        cider(["a dog"], [["..."]])


@given(st.lists(st.sampled_from([*MODEL, "a dog", "", "on the beach a dog runs"]), min_size=3, max_size=3))
def test_summed_counts_make_the_corpus_bleu(captions: list[str]) -> None:
    sacrebleu = required("sacrebleu")
    rows = bleu_counts(captions, PEOPLE)
    streams = [[" ".join(words(each[at])) for each in PEOPLE] for at in range(2)]
    expected = sacrebleu.BLEU(tokenize="none").corpus_score([" ".join(words(each)) for each in captions], streams)
    assert bleu(rows.sum(0)) == pytest.approx(expected.score)


def test_people_may_be_of_any_number() -> None:
    required("sacrebleu")
    assert bleu_counts(MODEL[:2], [PEOPLE[0], PEOPLE[1][:1]]).shape == (2, 10)
    assert bleu(bleu_counts(["", ""], PEOPLE[:2]).sum(0)) == 0


@pytest.mark.parametrize(("package", "make"), [("pycocoevalcap", cider), ("sacrebleu", bleu_counts)])
def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, package: str, make) -> None:  # type: ignore[no-untyped-def]
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPart, match="isthmus\\[evaluate\\]"):
        make(MODEL, PEOPLE)


def test_the_fitting_metric() -> None:
    assert fitting([["yes"] * 10, ["no"] * 10]) == "vqa"
    assert fitting([["yes"] * 10, ["no"]]) == "exact"
    assert fitting([["a cat"], ["two dogs"]]) == "exact"
    assert fitting(PEOPLE) == "captions"
    assert fitting([["一只棕色的狗在海滩上跑"]]) == "captions"


@pytest.mark.parametrize("name", ["vqa", "exact", "captions"])
def test_every_metric_keeps_a_row_an_example_and_adds_them_up(name) -> None:  # type: ignore[no-untyped-def]
    required("pycocoevalcap")
    required("sacrebleu")
    expected = [[*each, *each] for each in PEOPLE]
    for metric in metrics(name):
        rows = metric.rows(MODEL, expected)
        assert len(rows) == 3
        assert np.isfinite(metric.combine(rows.sum(0, keepdims=True), np.array([3.0]))).all()
