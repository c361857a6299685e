"""How well answers name what is there: per finding, and over all of them.

Kept of an answer is, of each of F findings, whether it is named and whether it is there (any reference names it): [4F],
the counts of TP, FN, FP and TN side by side, whose sums make every figure.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.intervals import Rows
from isthmus.evaluation.terms import Terms

OVERALL = ("recall, micro", "precision, micro", "sensitivity, macro", "specificity, macro")
EACH = ("sensitivity", "specificity", "precision")


def counted(terms: Terms, answers: Sequence[str], expected: Sequence[Sequence[str]]) -> Rows:
    """[N, 4F]: of each answer TP, FN, FP, TN of every finding."""
    said = _named(terms, [[answer] for answer in answers])
    there = _named(terms, expected)
    return np.hstack([said & there, ~said & there, said & ~there, ~said & ~there]).astype(np.float64)


def figures(sums: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG001
    """Sums [R, 4F] -> [R, 4 + 3F]: OVERALL, then EACH of the first finding, of the second, ... NaN is no value: the
    sensitivity of what is never there, the precision of what is never named. Macro figures are means over the findings
    that have one."""
    tp, fn, fp, tn = np.split(sums, 4, axis=1)  # each [R, F]
    each = np.stack([_share(tp, tp + fn), _share(tn, tn + fp), _share(tp, tp + fp)], axis=2)
    micro = [_share(tp.sum(1), (tp + fn).sum(1)), _share(tp.sum(1), (tp + fp).sum(1))]
    macro = [_mean(each[:, :, 0]), _mean(each[:, :, 1])]
    return np.hstack([np.stack([*micro, *macro], axis=1), each.reshape(len(sums), -1)])


def _named(terms: Terms, texts: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """[N, F]: whether any text of each names a finding."""
    found = np.zeros((len(texts), len(terms.names)), dtype=bool)
    for at, several in enumerate(texts):
        for text in several:
            found[at, list(terms.named(text))] = True
    return found


def _share(some: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(some, of, out=np.full_like(some, np.nan), where=of > 0)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[R, F] -> [R], over those that are no NaN."""
    return _share(np.nan_to_num(values).sum(1), (~np.isnan(values)).sum(1).astype(np.float64))
