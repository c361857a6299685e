"""A text found although a letter of it was misread, lost or invented."""

from collections.abc import Container
from itertools import pairwise

LONG = 6
"""Letters from which on one of them may be wrong; from twice as many on, two."""


def slips(wanted: str) -> int:
    """How many letters of it may be wrong."""
    if wanted.isdigit():
        return 0
    return min(len(wanted) // LONG, 2)


def parts_of(wanted: str) -> list[str]:
    """One of these stands unharmed wherever `wanted` is nearly found; none where nearly is not enough."""
    count = slips(wanted) + 1
    if count == 1:
        return []
    cuts = [len(wanted) * at // count for at in range(count + 1)]
    return [wanted[start:end] for start, end in pairwise(cuts)]


def nearly(wanted: str, run: str, edges: Container[int]) -> tuple[int, int] | None:
    """(start, end) of the part of `run` nearest to `wanted`, from a word's edge to another's. Figures are all there, in
    their order, and no others."""
    most = slips(wanted)
    figures = _figures(wanted)
    best: tuple[int, int, int] | None = None
    offset = 0
    for part in parts_of(wanted):
        at = run.find(part)
        while at >= 0:
            for start in range(max(0, at - offset - most), at - offset + most + 1):
                for end in range(start + len(wanted) - most, min(len(run), start + len(wanted) + most) + 1):
                    if start not in edges or end not in edges or _figures(run[start:end]) != figures:
                        continue
                    wrong = distance(wanted, run[start:end])
                    if wrong <= most and (best is None or wrong < best[0]):
                        best = (wrong, start, end)
            at = run.find(part, at + 1)
        offset += len(part)
    return best[1:] if best else None


def distance(one: str, other: str) -> int:
    """Letters to change, add or take away to make one of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, row[0] = row[0], at
        for to, against in enumerate(other, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (letter != against))
    return row[-1]


def _figures(text: str) -> str:
    return "".join(filter(str.isdigit, text))
