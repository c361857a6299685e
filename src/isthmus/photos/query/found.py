"""What the rules hand to the parser."""

from dataclasses import dataclass

from isthmus.photos.query.model import Alternative, Span, Value


@dataclass(frozen=True)
class Found:
    """Words understood as a condition. Where two overlap, the higher `rank` wins, then the longer, then the first.

    `core` is the part that names the thing, without "in the" before it.
    """

    start: int
    end: int
    value: Value
    rank: int = 0
    core: Span | None = None
    keep_words: bool = False
    note: str = ""
    alternatives: tuple[Alternative, ...] = ()
    negative: bool = False
    weight: int = 0

    @property
    def strength(self) -> tuple[int, int]:
        """What wins where two overlap: the rank, then the length (or a `weight` said to count instead)."""
        return self.rank, self.weight or self.end - self.start


@dataclass(frozen=True)
class Doubt:
    """Words that look like a condition and are none; they stay words, with the reason.

    Where it `blocks`, nothing inside is a condition either: the 2019 of 31 February 2019 is no year.
    """

    start: int
    end: int
    reason: str
    blocks: bool = False
