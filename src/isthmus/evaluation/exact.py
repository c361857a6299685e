"""Exact match: the answer is one of those expected, whatever its case, spacing and full stop."""

import unicodedata
from collections.abc import Sequence


def plain(answer: str) -> str:
    """As it is compared: compatibility forms composed (NFKC), case folded, white space joined, no mark at the end."""
    text = " ".join(unicodedata.normalize("NFKC", answer).casefold().split())
    return text.rstrip(".。!").rstrip()


def exact_match(answer: str, expected: Sequence[str]) -> float:
    """1 where the answer is one of the `expected`, else 0. An answer of nothing but marks is nothing."""
    return float(plain(answer) in {plain(each) for each in expected})
