"""From answers to figures: for each metric, what is kept of an example and how a set of examples adds up."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.captions import bleu, bleu_counts, cider, words
from isthmus.evaluation.exact import exact_match
from isthmus.evaluation.findings import EACH, OVERALL, counted, figures
from isthmus.evaluation.intervals import Combine, Rows, mean
from isthmus.evaluation.terms import Terms
from isthmus.evaluation.vqa import vqa_accuracy

Name: TypeAlias = Literal["vqa", "exact", "captions", "findings"]
PEOPLE = 10
"""So many answers make a question one of VQA's."""
LONG = 4
"""Answers of more words than this, in the median, are captions."""


@dataclass(frozen=True)
class Figure:
    """What one is called; `finding`: the one of which it tells, "" where it is of all."""

    name: str
    finding: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.finding}" if self.finding else self.name


@dataclass(frozen=True)
class Metric:
    """`rows`: answers and, for each, those expected -> [N, K]. `combine`: sums of rows -> the `figures`."""

    figures: tuple[Figure, ...]
    rows: Callable[[Sequence[str], Sequence[Sequence[str]]], Rows]
    combine: Combine


def metrics(name: Name, terms: Terms | None = None) -> tuple[Metric, ...]:
    """The figures reported under that name. `terms`: of the findings, for these alone."""
    match name:
        case "vqa":
            return (_one("VQA accuracy", _each(vqa_accuracy), mean),)
        case "exact":
            return (_one("exact match", _each(exact_match), mean),)
        case "captions":
            return _one("CIDEr", _cider, mean), _one("BLEU-4", bleu_counts, _bleu)
        case "findings":
            assert terms is not None
            each = (Figure(figure, finding) for finding in terms.names for figure in EACH)
            return (Metric((*map(Figure, OVERALL), *each), partial(counted, terms), figures),)


def fitting(expected: Sequence[Sequence[str]]) -> Name:
    """The metric for questions with these answers: vqa where each has PEOPLE or more, captions where the answers have
    more than LONG words in the median, else exact."""
    if all(len(each) >= PEOPLE for each in expected):
        return "vqa"
    lengths = [len(words(answer)) for each in expected for answer in each]
    return "captions" if statistics.median(lengths) > LONG else "exact"


def _one(name: str, rows: Callable[[Sequence[str], Sequence[Sequence[str]]], Rows], combine: Combine) -> Metric:
    return Metric((Figure(name),), rows, combine)


def _each(score: Callable[[str, Sequence[str]], float]) -> Callable[[Sequence[str], Sequence[Sequence[str]]], Rows]:
    def rows(answers: Sequence[str], expected: Sequence[Sequence[str]]) -> Rows:
        return np.array([[score(*pair)] for pair in zip(answers, expected, strict=True)], dtype=np.float64)

    return rows


def _cider(answers: Sequence[str], expected: Sequence[Sequence[str]]) -> Rows:
    return cider(answers, expected)[:, None]


def _bleu(sums: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG001
    return np.array([bleu(row) for row in sums])
