"""Tokens to text while they come: no half characters, nothing lost at the end, stop strings cut cleanly."""

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"
"""What decoders write for bytes that are no whole character (yet)."""


class Detokenizer:
    """Token ids one at a time -> text, equal when joined to the decoding of all ids at once.

    A token's text depends on the one before it (leading spaces, characters made of several tokens), so each step
    decodes the last finished piece again with what came after it; the cost does not grow with the answer.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._given = 0
        """How many of `_ids` have been given out as text."""

    def add(self, token: int) -> str:
        """The text that `token` finishes; empty while a character is incomplete."""
        self._ids.append(token)
        text = self._pending()
        if not text or text.endswith(UNFINISHED):
            return ""
        self._ids, self._given = self._ids[self._given :], len(self._ids) - self._given
        return text

    def end(self) -> str:
        """What is left: bytes that never became a character."""
        text = self._pending()
        self._given = len(self._ids)
        return text

    def _pending(self) -> str:
        return self._decode(self._ids)[len(self._decode(self._ids[: self._given])) :]


class StopStrings:
    """Text in pieces -> the same text up to the first stop string, which is not given out.

    Of several, the one that is completed first counts, and of those the longest: so the pieces do not matter. Text that
    may be the beginning of a stop string is held back.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def add(self, piece: str) -> str:
        """The text that is certain now; nothing after a stop string was `found`."""
        if self.found:
            return ""
        self._held += piece
        ends = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if ends:
            self.found = True
            return self._give(min(ends)[1])
        return self._give(len(self._held) - self._could_begin())

    def end(self) -> str:
        """What was held back and turned out to be no stop string."""
        return "" if self.found else self._give(len(self._held))

    def _could_begin(self) -> int:
        """Length of the longest end of the held text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0

    def _give(self, length: int) -> str:
        given, self._held = self._held[:length], self._held[length:]
        return given
