"""Beginnings that prompts of different conversations share, read once: a template's opening sentence, a system message.

Found by themselves: what two prompts in a row begin with, up to their first picture, is kept and copied into each new
conversation that begins with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import Cache

from isthmus.vlm.cache import bytes_of_cache
from isthmus.vlm.reading import CausalReading, Read, Reading

LEAST = 8
"""Shorter ones are not worth a copy."""

MOST = 4
"""Kept at once, those used last."""


@dataclass(frozen=True)
class Opening:
    read: tuple[Read, ...]
    cache: Cache
    nbytes: int


class Openings:
    """For one thread at a time, `nbytes` and `clear` for any. What is kept belongs to the weights it was made with."""

    def __init__(self) -> None:
        self._kept: tuple[Opening, ...] = ()
        self._before: tuple[Read, ...] = ()
        """The text that the prompt before began with."""

    def give(self, reading: Reading, read: Sequence[Read]) -> None:
        """A reading of nothing has read the longest opening that `read` begins with."""
        if not isinstance(reading, CausalReading) or reading.length:
            return
        fitting = [each for each in self._kept if tuple(read[: len(each.read)]) == each.read]
        if fitting:
            best = max(fitting, key=lambda each: len(each.read))
            self._kept = (*(each for each in self._kept if each is not best), best)
            reading.adopt(best.read, best.cache)

    def learn(self, reading: Reading, read: Sequence[Read]) -> None:
        """What this prompt, which `reading` has read, begins with like the one before it is kept."""
        if not isinstance(reading, CausalReading):
            return
        text = _text_of(read)
        common = _common(text, self._before)
        self._before = text
        if len(common) >= LEAST and all(each.read != common for each in self._kept):
            cache = reading.beginning(len(common))
            self._kept = (*self._kept, Opening(common, cache, bytes_of_cache(cache)))[-MOST:]

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for each in self._kept)

    def clear(self) -> None:
        self._kept = ()


def _text_of(read: Sequence[Read]) -> tuple[Read, ...]:
    """Up to the first picture, and not the last token: one is always left to read."""
    pictures = (at for at, each in enumerate(read) if not isinstance(each, int))
    return tuple(read[: next(pictures, len(read) - 1)])


def _common(one: tuple[Read, ...], other: tuple[Read, ...]) -> tuple[Read, ...]:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return one[:count]
