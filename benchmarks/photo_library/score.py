"""How good answers are: set-F1 of what was called sure, nDCG@10 of the order, rejection of what the library lacks.

Copies of one picture count once: the first in the order speaks for all, and a picture is right if one of its files is.
Photos of which it is unknown whether they are right (`rules.py`) are taken out before anything is counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from benchmarks.photo_library.questions import Question
from benchmarks.photo_library.rules import Rule, Verdict
from benchmarks.photo_library.truth import Library

from isthmus.contrastive.metrics import Interval, bootstrap, ndcg

DEPTH = 10


@dataclass(frozen=True)
class Answer:
    """Files in the order of the search, best first; the first `sure` of them are what it would show as found."""

    paths: tuple[str, ...]
    sure: int

    def __post_init__(self) -> None:
        if not 0 <= self.sure <= len(self.paths):
            raise ValueError(f"{self.sure} of {len(self.paths)} paths cannot be sure")


@dataclass(frozen=True)
class Score:
    """Of one answer. `f1` and `ndcg` are None where the library has nothing that is right.

    `empty`: nothing was called sure. `rejected`: nothing but what is unknown was.
    """

    question: Question
    relevant: int
    f1: float | None
    ndcg: float | None
    empty: bool
    rejected: bool


def verdicts(library: Library, rule: Rule) -> dict[int, Verdict]:
    """Of each picture: true if one of its files is, else unknown if one is."""
    found: dict[int, Verdict] = {}
    for photo in library.photos:
        holds, before = rule.holds(photo), found.get(photo.picture, False)
        found[photo.picture] = True if holds or before else (None if holds is None or before is None else False)
    return found


def score(question: Question, answer: Answer, judged: Mapping[int, Verdict], pictures: Mapping[str, int]) -> Score:
    """`judged` by picture; `pictures`: which one a path is of. Raises KeyError for a path that is in no truth."""
    order = _known(answer.paths, judged, pictures)
    sure = _known(answer.paths[: answer.sure], judged, pictures)
    relevant = {picture for picture, verdict in judged.items() if verdict}
    return Score(
        question,
        len(relevant),
        set_f1(sure, relevant) if relevant else None,
        ndcg_at(order, relevant, DEPTH) if relevant else None,
        empty=answer.sure == 0,
        rejected=not sure,
    )


def set_f1(found: Sequence[int], relevant: set[int]) -> float:
    """Harmonic mean of precision and recall; 0 for an empty answer."""
    return 2 * len(relevant.intersection(found)) / (len(set(found)) + len(relevant))


def ndcg_at(order: Sequence[int], relevant: set[int], k: int) -> float:
    """With gains of 1. What was not found stands below place `k`, however short the answer is."""
    nothing = max(0, k - len(order))
    missed = len(relevant.difference(order))
    gains = [*(picture in relevant for picture in order), *[False] * nothing, *[True] * missed]
    return float(ndcg(-torch.arange(len(gains), dtype=torch.float64)[None], torch.tensor([gains]), k))


def _known(paths: Sequence[str], judged: Mapping[int, Verdict], pictures: Mapping[str, int]) -> list[int]:
    order = dict.fromkeys(pictures[path] for path in paths)
    return [picture for picture in order if judged[picture] is not None]


@dataclass(frozen=True)
class Row:
    """Of a group of questions. Intervals are of 95 %, over questions drawn with replacement; None: no such question.

    `f1`, `ndcg`, `wrongly_empty`: over those the library has an answer to; `rejected`: over those it has none to.
    """

    what: str
    questions: int
    f1: Interval | None
    ndcg: Interval | None
    wrongly_empty: Interval | None
    rejected: Interval | None


def summary(scores: Sequence[Score], *, seed: int = 0) -> list[Row]:
    """All, each language, each side, each kind, and by what the embedder saw in training."""
    parts = {"all": list(scores)}
    parts |= {it: [each for each in scores if each.question.language == it] for it in ("en", "zh")}
    parts |= {it: [each for each in scores if each.question.side == it] for it in ("dev", "test")}
    kinds = dict.fromkeys(each.question.kind for each in scores)
    parts |= {it: [each for each in scores if each.question.kind == it] for it in kinds}
    told = {"things seen in training": False, "things never seen": True}
    parts |= {it: [each for each in scores if each.question.unseen is unseen] for it, unseen in told.items()}
    return [_row(name, members, seed) for name, members in parts.items() if members]


def _row(what: str, scores: Sequence[Score], seed: int) -> Row:
    has = [each for each in scores if each.question.answerable]
    lacks = [each for each in scores if not each.question.answerable]
    return Row(
        what,
        len(scores),
        _mean([each.f1 for each in has if each.f1 is not None], seed),
        _mean([each.ndcg for each in has if each.ndcg is not None], seed),
        _mean([float(each.empty) for each in has], seed),
        _mean([float(each.rejected) for each in lacks], seed),
    )


def _mean(values: Sequence[float], seed: int) -> Interval | None:
    return bootstrap(torch.tensor(values, dtype=torch.float64), seed=seed) if values else None
