"""Scores against hand-worked cases and scikit-learn's nDCG."""

import math
import random

import numpy as np
import pytest
from benchmarks.photo_library.questions import Question
from benchmarks.photo_library.rules import In, Shows
from benchmarks.photo_library.score import Answer, ndcg_at, score, set_f1, summary, verdicts
from benchmarks.photo_library.truth import Library

from .photos import photo

DOGS = Question("dogs", "en", "thing", Shows("dog"), "dev", True, "{s}")
PIANOS = Question("钢琴", "zh", "thing", Shows("piano"), "test", False, "{a}")
LIBRARY = Library(
    {},
    (
        photo("dog", path="a", picture=0),
        photo("dog", path="a copy", picture=0),
        photo("dog", path="b", picture=1),
        photo("cat", path="c", picture=2),
        photo("fox", path="d", picture=3),  # some would say it is a dog
        photo("cat", path="e", picture=4),
    ),
)
PICTURES = {each.path: each.picture for each in LIBRARY.photos}


def test_f1_by_hand() -> None:
    assert set_f1([1, 2, 3], {1, 2, 9, 8}) == pytest.approx(2 * 2 / (3 + 4))
    assert set_f1([], {1}) == 0
    assert set_f1([1], {1}) == 1


def test_ndcg_by_hand() -> None:
    best = 1 / math.log2(2) + 1 / math.log2(3)
    assert ndcg_at([7, 1, 8, 2], {1, 2}, 10) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert ndcg_at([1, 2], {1, 2}, 10) == pytest.approx(1)
    assert ndcg_at([7, 8], {1, 2}, 10) == 0
    assert ndcg_at([], {1}, 10) == 0
    assert ndcg_at([1], {1, 2}, 10) == pytest.approx(1 / best)
    assert ndcg_at([7, 1], {1}, 1) == 0


def test_ndcg_is_scikit_learns() -> None:
    reference = pytest.importorskip("sklearn.metrics").ndcg_score
    rng = random.Random(0)
    for _ in range(50):
        pictures = list(range(40))
        rng.shuffle(pictures)
        relevant = set(rng.sample(range(40), rng.randint(1, 20)))
        truth = np.array([[float(picture in relevant) for picture in pictures]])
        places = -np.arange(40.0)[None]
        assert ndcg_at(pictures, relevant, 10) == pytest.approx(reference(truth, places, k=10))


def test_copies_count_once_and_unknown_ones_not_at_all() -> None:
    judged = verdicts(LIBRARY, DOGS.rule)
    assert judged == {0: True, 1: True, 2: False, 3: None, 4: False}
    answer = Answer(("d", "a copy", "a", "c", "b"), sure=4)
    found = score(DOGS, answer, judged, PICTURES)
    assert found.relevant == 2
    assert found.f1 == pytest.approx(2 * 1 / (2 + 2))  # a and c are sure; a and b are right
    assert found.ndcg == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)))
    assert not found.empty


def test_a_picture_is_right_if_one_of_its_files_is() -> None:
    lost = Library({}, (photo(path="a", placed="none"), photo(path="b", placed="gps")))
    assert verdicts(lost, In("Barcelona")) == {0: True}
    assert verdicts(Library({}, lost.photos[:1]), In("Barcelona")) == {0: None}


@pytest.mark.parametrize(("paths", "sure", "rejected"), [((), 0, True), (("c",), 0, True), (("c",), 1, False)])
def test_what_is_not_there_is_rejected_by_nothing_sure(paths: tuple[str, ...], sure: int, rejected: bool) -> None:
    found = score(PIANOS, Answer(paths, sure), verdicts(LIBRARY, PIANOS.rule), PICTURES)
    assert (found.f1, found.ndcg, found.rejected) == (None, None, rejected)


def test_showing_only_what_is_unknown_is_neither_found_nor_empty() -> None:
    found = score(DOGS, Answer(("d",), 1), verdicts(LIBRARY, DOGS.rule), PICTURES)
    assert (found.f1, found.empty, found.rejected) == (0, False, True)


def test_an_answer_cannot_be_surer_than_long_and_names_known_files() -> None:
    with pytest.raises(ValueError, match="cannot be sure"):
        Answer(("a",), 2)
    with pytest.raises(KeyError):
        score(DOGS, Answer(("nowhere",), 1), verdicts(LIBRARY, DOGS.rule), PICTURES)


def test_the_summary_has_every_group_and_counts_each_question_where_it_belongs() -> None:
    judged = verdicts(LIBRARY, DOGS.rule)
    good = score(DOGS, Answer(("a", "b"), 2), judged, PICTURES)
    empty = score(DOGS, Answer(("c",), 0), judged, PICTURES)
    shown = score(PIANOS, Answer(("c",), 1), verdicts(LIBRARY, PIANOS.rule), PICTURES)
    rows = {row.what: row for row in summary([good, empty, shown])}
    every = rows["all"]
    assert every.questions == 3
    assert every.f1 is not None and every.f1.value == pytest.approx(0.5)
    assert every.f1.low <= 0.5 <= every.f1.high
    assert every.wrongly_empty is not None and every.wrongly_empty.value == 0.5
    assert every.rejected is not None and every.rejected.value == 0
    assert rows["zh"].f1 is None and rows["zh"].questions == 1
    assert rows["en"].rejected is None
    assert (rows["dev"].questions, rows["test"].questions, rows["thing"].questions) == (2, 1, 3)
