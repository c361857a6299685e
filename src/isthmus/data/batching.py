"""Batches and packed rows by length: less padding, the same samples.

A window of samples is looked at together and arranged by their lengths; then the next window. Lengths are whatever the
caller counts (tokens, positions): nothing here knows a model. Notation: n samples of a window.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from isthmus.data.chance import chance
from isthmus.errors import InputError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Resumable(Protocol[T_co]):
    """What can be read on from a state: a Mixture, Prepared, or Batches themselves."""

    def __next__(self) -> T_co: ...

    def state(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> None: ...


class Arrangement(Protocol):
    def __call__(self, lengths: Sequence[int], seed: int) -> list[list[int]]:
        """Lengths [n] -> groups of 0 .. n - 1, each in exactly one; equal calls give equal groups."""


@dataclass(frozen=True)
class Grouped:
    """Batches of samples of about the same length, in a drawn order. Source of the idea: bucketing by length, as in
    LLaVA-1.5's length-grouped sampler (Liu et al., 2023)."""

    rows: int
    """Samples of a batch at most."""
    tokens: int | None = None
    """Of a batch with its padding, rows times the longest, at most; None: no limit."""

    def __call__(self, lengths: Sequence[int], seed: int) -> list[list[int]]:
        """Raises InputError where a sample alone is longer than `tokens`."""
        if self.tokens is not None:
            _check(lengths, self.tokens)
        batches: list[list[int]] = []
        for at in sorted(range(len(lengths)), key=lambda at: (lengths[at], chance(seed, "tie", at))):
            last = batches[-1] if batches else []
            fits = self.tokens is None or (len(last) + 1) * lengths[at] <= self.tokens
            if last and len(last) < self.rows and fits:
                last.append(at)
            else:
                batches.append([at])
        return _drawn(batches, seed)


@dataclass(frozen=True)
class Packed:
    """Several samples in a row of at most `tokens`: each, the longest first, goes to the first row with room left.

    Source: first-fit decreasing (Johnson, 1973): at most 11/9 of the fewest rows possible, and two thirds of one.
    """

    tokens: int

    def __call__(self, lengths: Sequence[int], seed: int) -> list[list[int]]:
        """Raises InputError where a sample alone is longer than a row."""
        _check(lengths, self.tokens)
        rows: list[list[int]] = []
        room: list[int] = []
        for at in sorted(range(len(lengths)), key=lambda at: (-lengths[at], chance(seed, "tie", at))):
            row = next((row for row, left in enumerate(room) if left >= lengths[at]), None)
            if row is None:
                rows.append([at])
                room.append(self.tokens - lengths[at])
            else:
                rows[row].append(at)
                room[row] -= lengths[at]
        return _drawn(rows, seed)


class Batches(Generic[T]):
    """Groups of what `source` gives, an iterator; at the source's end the last window is a smaller one.

    A state is that of the source at the window's beginning and how many groups of it were given: resuming reads the
    window again, and goes on with the very next group. A window of samples is held: let them be light (no pixels).
    """

    def __init__(
        self, source: Resumable[T], length: Callable[[T], int], arrange: Arrangement, *, window: int, seed: int
    ) -> None:
        """`window`: how many samples are arranged together. With Grouped a multiple of its rows wastes nothing."""
        if window < 1:
            raise ValueError(f"a window of {window} samples")
        self.source, self.length, self.arrange, self.window, self.seed = source, length, arrange, window, seed
        self._number, self._given = 0, 0
        self._start: dict[str, Any] | None = None
        self._groups: list[list[T]] = []
        self.arranged: list[T] = []
        """The samples of the window that the last group is of, in their order."""

    def __iter__(self) -> Iterator[list[T]]:
        return self

    def __next__(self) -> list[T]:
        if self._given == len(self._groups):
            self._fill(self._number + 1 if self._groups else self._number)
        group = self._groups[self._given]
        self._given += 1
        return group

    def state(self) -> dict[str, Any]:
        """As JSON."""
        if self._start is None or self._given == len(self._groups):
            number = self._number + 1 if self._groups else self._number
            return {"window": number, "given": 0, "source": self.source.state()}
        return {"window": self._number, "given": self._given, "source": self._start}

    def resume(self, state: dict[str, Any]) -> None:
        """The next group is the one that would have followed `state`."""
        self.source.resume(state["source"])
        self._number, self._given, self._groups, self._start = state["window"], 0, [], None
        if state["given"]:
            self._fill(self._number)
            self._given = state["given"]

    def _fill(self, number: int) -> None:
        start, samples = self.source.state(), []
        for _ in range(self.window):
            try:
                samples.append(next(self.source))
            except StopIteration:
                break
        if not samples:
            raise StopIteration
        found = self.arrange([self.length(sample) for sample in samples], chance(self.seed, "window", number))
        self._number, self._given, self._start, self.arranged = number, 0, start, samples
        self._groups = [[samples[at] for at in group] for group in found]


def _check(lengths: Sequence[int], tokens: int) -> None:
    for at, length in enumerate(lengths):
        if length > tokens:
            raise InputError(
                f"a sample has {length} tokens where {tokens} fit",
                why=f"it is number {at} of its window",
                todo="leave out what is too long before it is put into batches, or raise the limit",
            )


def _drawn(groups: list[list[int]], seed: int) -> list[list[int]]:
    """The groups in a drawn order, each in the order of its samples: short ones do not come first."""
    order = sorted(range(len(groups)), key=lambda at: chance(seed, "order", at))
    return [sorted(groups[at]) for at in order]
