"""Sources in memory, and progress that is only counted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from isthmus.data.example import Example
from isthmus.errors import InputError
from isthmus.messages import assistant, user
from isthmus.progress import Progress
from tests.vlm import models


class InMemory:
    """Examples; one that is an error is raised where it is read."""

    def __init__(self, examples: Sequence[Example | InputError], name: str = "memory") -> None:
        self.examples, self.name = list(examples), name

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, at: int) -> Example:
        found = self.examples[at]
        if isinstance(found, InputError):
            raise found
        return found


def question(
    number: int, *, picture: int | None = None, answer: str = "a cat", kind: str = "", text: str = ""
) -> Example:
    """Asks `text`, or "what is number N?", about the picture of that seed."""
    shown = models.picture(number if picture is None else picture)
    asked = user(shown, text or f"what is number {number}?")
    return Example((asked, assistant(answer)), f"memory, record {number}", kind=kind)


class Counted:
    """How far progress went, by label."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    @contextmanager
    def __call__(self, label: str, total: int, unit: str) -> Iterator[Progress]:  # noqa: ARG002
        self.totals[label] = self.totals.get(label, 0) + total
        done = self.done

        class Reporter:
            def advance(self, n: int = 1, note: str = "") -> None:  # noqa: ARG002
                done[label] = done.get(label, 0) + n

        yield Reporter()
