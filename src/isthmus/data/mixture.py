"""Mixture: several sources as one endless sequence, in given shares, that can be left and taken up anywhere.

What stands at place p of the sequence is computed from the seed, p and how often each source was drawn before. So N
processes that each take every Nth place read together what one alone would read, and a saved mixture may be taken up
by another number of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Generic, TypeAlias, TypeVar

from isthmus.data.chance import permuted, uniform
from isthmus.data.endless import Endless
from isthmus.data.example import Bad, Example, Examples, Stream, bad_record
from isthmus.data.report import Report
from isthmus.errors import InputError

T = TypeVar("T")
Source: TypeAlias = Examples | Stream


@dataclass(frozen=True)
class Draw:
    """An Example of source number `source`, drawn from it as the `turn`th. `index`: where it stands there, None in a
    stream. `epoch`: how often the source was read through before, which is what `instruct` asks for."""

    example: Example
    source: int
    turn: int
    index: int | None
    epoch: int


class Mixture:
    """An endless iterator of Draws. Within an epoch of Examples each record comes once, in an order of its own.

    A record that cannot be used goes to the report, and its turn to the next of the same source in the epoch's order,
    which so comes twice; nothing else moves. A Stream is read in its own order, by every rank from front to back (each
    keeps what is its own), and begins again at its end.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        weights: Sequence[float] | None = None,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        report: Report | None = None,
    ) -> None:
        """`weights`: shares of the draws, in any unit; None: by size, so that all epochs take about as long.

        `rank` of `world` processes. Raises InputError where a source is empty or a weight is none.
        """
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        self.seed, self.rank, self.world, self.report = seed, rank, world, report or Report()
        self.sources = list(sources)
        self.names = [source.name for source in sources]
        self.sizes = [0 if isinstance(source, Stream) else len(source) for source in sources]
        self.weights = [float(each) for each in (self._by_size() if weights is None else weights)]
        self._check()
        self._upto = list(accumulate(self.weights))
        self._streams = {
            at: Endless(source, lambda bad, at=at: self._note(at, bad.place, bad))  # type: ignore[misc]
            for at, source in enumerate(sources)
            if isinstance(source, Stream)
        }
        self._known: list[set[int | str]] = [set() for _ in sources]
        self.place, self.drawn = 0, [0] * len(sources)

    def __iter__(self) -> "Mixture":
        return self

    def __next__(self) -> Draw:
        """The next Draw of this rank. Raises InputError where a source has no usable record at all."""
        drawn, mine = list(self.drawn), None
        for rank in range(self.world):
            which = self._choice(self.place + rank)
            if rank == self.rank:
                mine = self._read(which, drawn[which])
            elif which in self._streams:
                self._streams[which].skip()
            drawn[which] += 1
        self.place, self.drawn = self.place + self.world, drawn
        assert mine is not None
        return mine

    def instead(self, draw: Draw, error: InputError) -> Draw:
        """The draw that takes the place of the last one, which turned out to be of no use (its picture is damaged).

        Raises InputError where its source has no usable record left.
        """
        known = draw.example.place if draw.index is None else draw.index
        self._note(draw.source, known, Bad(draw.example.place, error))
        if draw.index is not None:
            return self._read(draw.source, draw.turn)
        reader = self._streams[draw.source]
        example = reader.instead()
        while example.place in self._known[draw.source]:
            example = reader.instead()
        return replace(draw, example=example, epoch=reader.epoch)

    def joint(self) -> "Mixture":
        """All ranks' draws one after the other, from the front. To be read in place of this one, not beside it."""
        return Mixture(self.sources, self.weights, seed=self.seed, report=self.report)

    def found(self, draw: Draw, error: InputError) -> None:
        """`draw` turned out to be of no use; no other is drawn because of that, now or later."""
        self.report.add(self.names[draw.source], Bad(draw.example.place, error))

    def state(self) -> dict[str, Any]:
        """Where the reading stands, as JSON: the same on all ranks that have drawn equally often."""
        streams = {str(at): reader.state() for at, reader in self._streams.items()}
        return {**self._made_of(), "place": self.place, "drawn": list(self.drawn), "streams": streams}

    def resume(self, state: dict[str, Any]) -> None:
        """The next draws are those that would have followed `state`, shared among this mixture's `world`.

        Raises InputError where the state is of another mixture.
        """
        for key, value in self._made_of().items():
            if state.get(key) != value:
                raise InputError(
                    f"the data are not those the run began with: {key} was {state.get(key)} and is {value}",
                    todo="give the same data, or begin anew",
                )
        self.place, self.drawn = int(state["place"]), list(state["drawn"])
        for at, reader in self._streams.items():
            reader.resume(state["streams"][str(at)])

    def _made_of(self) -> dict[str, Any]:
        return {"seed": self.seed, "sources": self.names, "sizes": self.sizes, "weights": self.weights}

    def _choice(self, place: int) -> int:
        """Which source is drawn at a place of the sequence."""
        aim = uniform(self.seed, "source", place) * self._upto[-1]
        return next(at for at, upto in enumerate(self._upto) if aim < upto)

    def _read(self, which: int, turn: int) -> Draw:
        if which in self._streams:
            reader = self._streams[which]
            example = next(reader)
            while example.place in self._known[which]:
                example = reader.instead()
            return Draw(example, which, turn, None, reader.epoch)
        source, size = self.sources[which], self.sizes[which]
        assert not isinstance(source, Stream)
        epoch, place = divmod(turn, size)
        for further in range(size):
            index = permuted((place + further) % size, size, self.seed, "order", which, epoch)
            if index in self._known[which]:
                continue
            try:
                return Draw(source[index], which, turn, index, epoch)
            except InputError as error:
                self._note(which, index, bad_record(source, index, error))
        why = next((str(bad.error) for name, bad in self.report.first if name == source.name), "")
        raise InputError(f"{source.name} has no usable record", why=why)

    def _note(self, which: int, known: int | str, bad: Bad) -> None:
        if known not in self._known[which]:
            self._known[which].add(known)
            self.report.add(self.names[which], bad)

    def _by_size(self) -> list[int]:
        if 0 in self.sizes:
            name = self.names[self.sizes.index(0)]
            raise InputError(f"{name} is empty, or a stream of unknown length", todo="give each source a weight")
        return self.sizes

    def _check(self) -> None:
        if not self.sources:
            raise InputError("there are no data", todo="name at least one source")
        if len(self.weights) != len(self.sources):
            raise InputError(f"{len(self.weights)} weights are given for {len(self.sources)} sources")
        for name, source, size, weight in zip(self.names, self.sources, self.sizes, self.weights, strict=True):
            if not isinstance(source, Stream) and not size:
                raise InputError(f"{name} holds no record")
            if not 0 < weight < float("inf"):
                raise InputError(f"the weight of {name} is {weight}", todo="give a number above 0")


class Prepared(Generic[T]):
    """What is made of each Draw: a draw that this cannot be made of (InputError, so also PictureError) is replaced."""

    def __init__(self, mixture: Mixture, prepare: Callable[[Draw], T]) -> None:
        self.mixture, self.prepare = mixture, prepare

    def __iter__(self) -> "Prepared[T]":
        return self

    def __next__(self) -> T:
        draw = next(self.mixture)
        while True:
            try:
                return self.prepare(draw)
            except InputError as error:
                draw = self.mixture.instead(draw, error)

    def state(self) -> dict[str, Any]:
        return self.mixture.state()

    def resume(self, state: dict[str, Any]) -> None:
        self.mixture.resume(state)
