"""What a rule of a grammar sees: the words it matched, and when and for whom they were said."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from isthmus.photos.query.model import Settings
from isthmus.photos.query.moments import Moment, NoSuchDate


@dataclass(frozen=True)
class Said:
    """One match of a rule's pattern."""

    match: re.Match[str]
    now: datetime
    settings: Settings

    def __getitem__(self, group: str) -> str:
        """The words of a group; "" where it is not in the pattern or took no part."""
        return self.match.groupdict().get(group) or ""

    @property
    def words(self) -> str:
        return self.match[0]


Build = Callable[[Said], Moment]
Rule = tuple[re.Pattern[str], Build]


def longest(rules: Sequence[Rule], text: str, at: int, now: datetime, settings: Settings) -> tuple[int, Moment] | None:
    """The longest point in time that begins at `at`, and where it ends. Raises NoSuchDate."""
    best: tuple[int, re.Match[str], Build] | None = None
    for pattern, build in rules:
        match = pattern.match(text, at)
        if match and (best is None or match.end() > best[0]):
            best = match.end(), match, build
    if best is None:
        return None
    try:
        return best[0], best[2](Said(best[1], now, settings))
    except NoSuchDate as error:
        raise NoSuchDate(str(error), best[0]) from None
