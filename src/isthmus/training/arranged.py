"""Conversations in batches of like lengths, or several in a row: the same ones as in plain order, less padding.

What is arranged is the joint sequence of all ranks, window by window, on each of them alike; of the batches rank r of N
takes every Nth. So N ranks learn together what one learns from as many batches a step, and a run saved by eight is
resumed by two. The price: each rank reads and counts the texts of all. Pictures are opened by the rank that needs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from isthmus.data.batching import Batches, Grouped, Packed
from isthmus.data.instructions import instruct
from isthmus.data.mixture import Draw, Mixture, Prepared
from isthmus.errors import InputError
from isthmus.training.lengths import Lengths
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.packing import require_packing

Arrange: TypeAlias = Literal["order", "length", "packed"]
WINDOW = 256
"""Conversations that are looked at together, at least; they are held as they were read, pictures not decoded."""
WINDOW_BATCHES = 16
"""As many batches of them, at least."""
WINDOW_ROWS = 4
"""Batches whose packed rows are looked at together."""


@dataclass(frozen=True)
class Planned:
    """A draw of `length` tokens, in row `row` of its batch. `room`: how long what replaces it may be (None: any)."""

    draw: Draw
    length: int
    room: int | None
    row: int = 0


def require_arrangement(model: VisionLanguageModel, arrange: Arrange, tokens: int | None, *, varied: bool) -> None:
    """Raises InputError where this model's conversations cannot be arranged so. `varied`: pictures are augmented."""
    if tokens is not None and not Lengths(model, varied=varied).exact:
        why = "pictures are augmented" if varied else f"{type(model.encoder.fit).__name__} decides by what it shows"
        raise InputError(
            f"rows of at most {tokens} tokens cannot be filled",
            why=f"how many tokens a picture has is not known before it is opened: {why}",
            todo="use arrange: length without tokens",
        )
    if arrange == "packed":
        require_packing(model)


class Arranged:
    """Batches of a mixture's joint sequence, of which this rank takes its share.

    With "length" a batch is `rows` conversations of about one length, fewer where `tokens` bounds rows times the
    longest; with "packed", `rows` rows at most of several conversations, `tokens` together.
    A record that turns out to be of no use as its picture is opened is replaced by another one of its window, which so
    comes twice: no other batch changes by that.
    """

    def __init__(self, mixture: Mixture, rows: int, arrange: Arrange, tokens: int | None, lengths: Lengths) -> None:
        """`mixture`: this rank's share, which is not read itself."""
        self._rank, self._world = mixture.rank, mixture.world
        self._mixture = mixture.joint()
        self._lengths, self._tokens, self._packed = lengths, tokens, arrange == "packed"
        planned = Prepared(self._mixture, self._planned)
        if self._packed:
            assert tokens is not None
            filled = Batches(planned, _length, Packed(tokens), window=self._window(1), seed=mixture.seed)
            by_rows = Grouped(rows)
            self._batches: Batches[Any] = Batches(
                filled, _filled, by_rows, window=WINDOW_ROWS * rows, seed=mixture.seed
            )
        else:
            self._batches = Batches(
                planned, _length, Grouped(rows, tokens), window=self._window(rows), seed=mixture.seed
            )
        self._beside: list[Planned] = []
        self._useless: set[tuple[int, int]] = set()

    def __next__(self) -> list[Planned]:
        mine: list[Any] = []
        for rank in range(self._world):
            batch = next(self._batches)
            if rank == self._rank:
                mine, looked_at = batch, self._batches.arranged
                self._beside = [each for row in looked_at for each in row] if self._packed else looked_at
        self._useless = set()
        rows = mine if self._packed else [[each] for each in mine]
        return [replace(each, row=at) for at, row in enumerate(rows) for each in row]

    def instead(self, item: Planned, error: InputError) -> Planned | None:
        """The next of its source in the window that is not too long, else of any; None where there is none: its place
        stays empty."""
        self._mixture.found(item.draw, error)
        self._useless.add(_key(item))
        at = [_key(each) for each in self._beside].index(_key(item))
        following = self._beside[at + 1 :] + self._beside[:at]
        following.sort(key=lambda each: each.draw.source != item.draw.source)
        for each in following:
            if _key(each) not in self._useless and (item.room is None or each.length <= item.room):
                return replace(each, room=item.room, row=item.row)
        return None

    def state(self) -> dict[str, Any]:
        return self._batches.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._batches.resume(state)

    def _planned(self, draw: Draw) -> Planned:
        length = self._lengths.of(instruct(draw.example, seed=self._mixture.seed, epoch=draw.epoch))
        if self._tokens is not None and length > self._tokens:
            raise InputError(
                f"it has {length} tokens, and a row {self._tokens} at most", todo="raise tokens, or shorten it"
            )
        return Planned(draw, length, None if self._tokens is None else length)

    def _window(self, rows: int) -> int:
        """A multiple of `rows`, no more than an epoch: else a batch of one length would hold one record many times."""
        wanted = max(-(-WINDOW // rows), WINDOW_BATCHES if rows > 1 else 1) * rows
        epoch = sum(self._mixture.sizes) if all(self._mixture.sizes) else wanted
        return min(wanted, max(1, epoch // rows) * rows)


def _length(item: Planned) -> int:
    return item.length


def _filled(row: Sequence[Planned]) -> int:
    return sum(each.length for each in row)


def _key(item: Planned) -> tuple[int, int]:
    return item.draw.source, item.draw.turn
