"""A stream read again and again: what a mixture draws from where a source has no index."""

from collections.abc import Callable, Iterator
from typing import Any

from isthmus.data.example import Bad, Example, Stream
from isthmus.errors import InputError


class Endless:
    """The usable Examples of a stream, from the front again after its end. `epoch`: how often it has ended."""

    def __init__(self, stream: Stream, bad: Callable[[Bad], None]) -> None:
        """`bad` is told each record that cannot be used, each time it is met. The stream belongs to this reader."""
        self.stream, self.epoch, self._bad = stream, 0, bad
        self._front = stream.state()
        self._records: Iterator[Example | Bad] | None = None
        self._behind: dict[str, Any] | None = None  # the last record given, where others were skipped since
        self._aside: dict[str, Any] | None = None  # where to go on after records given in place of others
        self._rounds = 0

    def __next__(self) -> Example:
        """Raises InputError where the whole stream holds no usable record."""
        if self._aside is not None:
            self.resume(self._aside)
        self._behind = None
        return self._next()

    def skip(self) -> None:
        """Passes over the next one, which is another's. Raises as `next` does."""
        if self._aside is not None:
            self.resume(self._aside)
        if self._behind is None:
            self._behind = self.state()
        self._next()

    def instead(self) -> Example:
        """The one behind the last that `next` gave, which could not be used; it comes again at its own turn.

        Only the stream's state is kept for that, no record. Raises InputError where the whole stream was tried so.
        """
        if self._aside is None:
            aside = self.state()
            if self._behind is not None:
                self.resume(self._behind)
            self._aside, self._rounds = aside, self.epoch
        example = self._next()
        if self.epoch > self._rounds + 1:
            raise InputError(f"{self.stream.name} has no usable record", why="none of it could be used")
        return example

    def state(self) -> dict[str, Any]:
        return self._aside or {"epoch": self.epoch, "stream": self.stream.state()}

    def resume(self, state: dict[str, Any]) -> None:
        self._behind, self._aside, self._records = None, None, None
        self.epoch = state["epoch"]
        self.stream.resume(state["stream"])

    def _next(self) -> Example:
        why = "it is empty"
        for _ in range(2):  # to the end from where it stands, then through all of it
            if self._records is None:
                self._records = iter(self.stream)
            for record in self._records:
                if isinstance(record, Example):
                    return record
                self._bad(record)
                why = str(record.error)
            self.epoch, self._records = self.epoch + 1, None
            self.stream.resume(self._front)
        raise InputError(f"{self.stream.name} has no usable record", why=why)
