"""How many of the found photos were taken in which month, and where in the ranking each month begins."""

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.facts import MONTH, YEAR, Facts
from isthmus.photos.serve.answers import PeriodAnswer
from isthmus.photos.serve.lookup import rows_of


def timeline(photos: NDArray[np.int64], facts: Facts) -> list[PeriodAnswer]:
    """photos [N] in their order."""
    rows, known = rows_of(facts, photos)
    if not known.any():
        return [PeriodAnswer(period="unknown", count=len(photos), first=0)] if len(photos) else []
    taken, precision = facts.taken[rows], facts.precision[rows]
    dated = known & ~np.isnat(taken)
    found: list[PeriodAnswer] = []
    for unit, fits in (("Y", dated & (precision == YEAR)), ("M", dated & (precision <= MONTH))):
        places = np.flatnonzero(fits)
        periods, first, counts = np.unique(
            taken[places].astype(f"datetime64[{unit}]"), return_index=True, return_counts=True
        )
        found += [
            PeriodAnswer(period=str(period), count=int(count), first=int(places[at]))
            for period, count, at in zip(periods, counts, first, strict=True)
        ]
    found.sort(key=lambda each: each.period)
    if len(rest := np.flatnonzero(~dated)):
        found.append(PeriodAnswer(period="unknown", count=len(rest), first=int(rest[0])))
    return found
