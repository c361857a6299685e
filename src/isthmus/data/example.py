"""Example: a conversation to learn from or to be judged by, and where it came from. No picture is opened here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from isthmus.errors import InputError
from isthmus.messages import Message


@dataclass(frozen=True)
class Example:
    """`messages`: a conversation that ends with an assistant's answer, or a text alone (one assistant's message).

    A caption is such a conversation too: the picture without a word, answered with the caption; see `instructions`.

    `place` names the record in words ("pairs.json, record 3"). `answers`: of captions and short questions all that
    people wrote, the assistant's among them; () for conversations. `kind`: the group it is reported with (a question
    type), "" for none.
    """

    messages: tuple[Message, ...]
    place: str
    answers: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Bad:
    """A record that cannot be used: named and left out, never fatal."""

    place: str
    error: InputError


class Examples(Protocol):
    """A source that can be read in any order. Reading the same index again gives the same Example."""

    name: str

    def __len__(self) -> int: ...

    def __getitem__(self, at: int) -> Example:
        """Raises InputError that names the record where it cannot be used."""


@runtime_checkable
class Stream(Protocol):
    """A source that is read from front to back: shards too large for this disk, or still being written."""

    name: str

    def __iter__(self) -> Iterator[Example | Bad]:
        """From where `resume` put it, or from the front. An iterator begun before a `resume` is to be left alone."""

    def state(self) -> dict[str, Any]:
        """Where the reading stands, as JSON."""

    def resume(self, state: dict[str, Any]) -> None:
        """The next Example is the one that would have followed `state`."""


class RecordError(InputError):
    """A record that cannot be used, which `place` names; its text begins with it."""

    def __init__(self, place: str, what: str, *, why: str = "", todo: str = "") -> None:
        super().__init__(f"{place}: {what}", why=why, todo=todo)
        self.place = place


def named(place: str, error: InputError) -> RecordError:
    """The same complaint with the record's place in front."""
    return RecordError(place, error.what, why=error.why, todo=error.todo)


def bad_record(source: Examples, at: int, error: InputError) -> Bad:
    """What a source raised at an index, as a record."""
    return Bad(error.place if isinstance(error, RecordError) else f"{source.name}[{at}]", error)
