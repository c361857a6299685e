"""From answers to figures: for each metric, what is kept of an example and how a set of examples adds up."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.captions import bleu, bleu_counts, cider, words
from isthmus.evaluation.exact import exact_match
from isthmus.evaluation.intervals import Combine, Rows, mean
from isthmus.evaluation.vqa import vqa_accuracy

Name: TypeAlias = Literal["vqa", "exact", "captions"]
NAMES: tuple[Name, ...] = ("vqa", "exact", "captions")
PEOPLE = 10
"""So many answers make a question one of VQA's."""
LONG = 4
"""Answers of more words than this, in the median, are captions."""


@dataclass(frozen=True)
class Metric:
    """`rows`: answers and, for each, those expected -> [N, K]. `combine`: sums of rows -> the figure."""

    name: str
    rows: Callable[[Sequence[str], Sequence[Sequence[str]]], Rows]
    combine: Combine


def metrics(name: Name) -> tuple[Metric, ...]:
    """The figures reported under that name."""
    match name:
        case "vqa":
            return (Metric("VQA accuracy", _each(vqa_accuracy), mean),)
        case "exact":
            return (Metric("exact match", _each(exact_match), mean),)
        case "captions":
            return Metric("CIDEr", _cider, mean), Metric("BLEU-4", bleu_counts, _bleu)


def fitting(expected: Sequence[Sequence[str]]) -> Name:
    """The metric for questions with these answers: vqa where each has PEOPLE or more, captions where the answers have
    more than LONG words in the median, else exact."""
    if all(len(each) >= PEOPLE for each in expected):
        return "vqa"
    lengths = [len(words(answer)) for each in expected for answer in each]
    return "captions" if statistics.median(lengths) > LONG else "exact"


def _each(score: Callable[[str, Sequence[str]], float]) -> Callable[[Sequence[str], Sequence[Sequence[str]]], Rows]:
    def rows(answers: Sequence[str], expected: Sequence[Sequence[str]]) -> Rows:
        return np.array([[score(*pair)] for pair in zip(answers, expected, strict=True)], dtype=np.float64)

    return rows


def _cider(answers: Sequence[str], expected: Sequence[Sequence[str]]) -> Rows:
    return cider(answers, expected)[:, None]


def _bleu(sums: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG001
    return np.array([bleu(row) for row in sums])
