"""What a rule of a grammar sees: the words it matched, and when and for whom they were said."""

import re
from dataclasses import dataclass
from datetime import datetime

from isthmus.photos.query.model import Settings


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
