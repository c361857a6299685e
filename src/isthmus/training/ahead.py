"""Records of a mixture, opened ahead: while one batch is trained on, the pictures of the next are opened."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from isthmus.data.example import Example
from isthmus.data.mixture import Draw, Mixture
from isthmus.errors import InputError, PictureError
from isthmus.images.open import picture_of
from isthmus.images.views import Fit, Picture
from isthmus.vision.features import Features

Encode: TypeAlias = Callable[[Sequence[Any]], Features]
"""Of opened pictures; a FeatureCache's also of paths and bytes, which it does not open if it knows them."""
Vary: TypeAlias = Callable[[Picture, str], Picture]
"""A picture as it may look too. The text is a seed: equal ones give equal pictures."""
OPENING = 4
"""Threads that open pictures."""
T = TypeVar("T")
Item = TypeVar("Item")


class Groups(Protocol[Item]):
    """What is read together, group after group."""

    def __next__(self) -> list[Item]: ...

    def instead(self, item: Item, error: InputError) -> Item | None:
        """What takes the place of one of the last group, which turned out to be of no use; None: nothing. Raises
        InputError where its source has nothing else."""

    def state(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> None: ...


class InOrder:
    """Groups of `size` draws, as a mixture gives them: this rank's share."""

    def __init__(self, mixture: Mixture, size: int) -> None:
        self._mixture, self._size = mixture, size

    def __next__(self) -> list[Draw]:
        return [next(self._mixture) for _ in range(self._size)]

    def instead(self, item: Draw, error: InputError) -> Draw:
        return self._mixture.instead(item, error)

    def state(self) -> dict[str, Any]:
        return self._mixture.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._mixture.resume(state)


class Ahead(Generic[Item, T]):
    """Groups, each item made into what `open` makes of it.

    `state` counts only what was taken. A record that turns out to be of no use (InputError) is replaced as its group
    says, and stands in the mixture's report.
    """

    def __init__(self, groups: Groups[Item], open: Callable[[Item], T]) -> None:
        """`open` is called in threads."""
        self._groups, self._open = groups, open
        self._threads = ThreadPoolExecutor(OPENING, thread_name_prefix="opening")
        self._ahead: deque[tuple[dict[str, Any], list[Item], list[Future[T]]]] = deque()

    def take(self) -> list[T]:
        """The next ones. Before more are drawn by `begin`, those of no use are to be replaced."""
        if not self._ahead:
            self.begin()
        _, items, opening = self._ahead.popleft()
        self._ahead.clear()
        found = [self._usable(item, future) for item, future in zip(items, opening, strict=True)]
        return [each for each in found if each is not None]

    def begin(self) -> None:
        """Draws the next ones and has them opened."""
        before = self._groups.state()
        items = next(self._groups)
        self._ahead.append((before, items, [self._threads.submit(self._open, item) for item in items]))

    def instead(self, item: Item, error: InputError) -> T | None:
        """What takes the place of one of no use, None where nothing does. Raises as Groups do."""
        found = self._groups.instead(item, error)
        while found is not None:
            try:
                return self._open(found)
            except InputError as another:
                found = self._groups.instead(found, another)
        return None

    def state(self) -> dict[str, Any]:
        return self._ahead[0][0] if self._ahead else self._groups.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._ahead.clear()
        self._groups.resume(state)

    def _usable(self, item: Item, opening: "Future[T]") -> T | None:
        try:
            return opening.result()
        except InputError as error:
            return self.instead(item, error)


def chance_of(mixture: Mixture, draw: Draw, at: int) -> str:
    """A seed for picture `at` of a draw, other ones in other epochs."""
    return f"{mixture.seed}:{draw.example.place}:{draw.epoch}:{at}"


def sources_of(example: Example) -> tuple[Any, ...]:
    """Its pictures in reading order, as the record names them."""
    return tuple(part.source for said in example.messages for part in said.pictures)


def opened(example: Example, fit: Fit) -> tuple[Picture, ...]:
    """An example's pictures in reading order, as large as `fit` needs them. Raises PictureError."""
    return tuple(picture_of(source, at_least=fit.at_least) for source in sources_of(example))


def damaged(pictures: Sequence[Sequence[Any]]) -> dict[int, InputError]:
    """By index, whose pictures cannot be opened."""
    errors: dict[int, InputError] = {}
    for at, sources in enumerate(pictures):
        try:
            for source in sources:
                picture_of(source, at_least=1)
        except PictureError as error:
            errors[at] = error
    return errors
