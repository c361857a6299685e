"""Records of a mixture, opened ahead: while one batch is trained on, the pictures of the next are opened."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeAlias, TypeVar

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


class Ahead(Generic[T]):
    """This rank's share of a mixture, `size` records at a time, each made into what `open` makes of it.

    `state` counts only what was taken. A record that turns out to be of no use (InputError) is replaced by the next of
    its source and stands in the mixture's report.
    """

    def __init__(self, mixture: Mixture, size: int, open: Callable[[Draw], T]) -> None:
        """`open` is called in threads."""
        self._mixture, self._size, self._open = mixture, size, open
        self._threads = ThreadPoolExecutor(OPENING, thread_name_prefix="opening")
        self._ahead: deque[tuple[dict[str, Any], list[Draw], list[Future[T]]]] = deque()

    def take(self) -> list[T]:
        """The next ones. Before more are drawn by `begin`, those of no use are to be replaced."""
        if not self._ahead:
            self.begin()
        _, draws, opening = self._ahead.popleft()
        self._ahead.clear()
        return [self._usable(draw, future) for draw, future in zip(draws, opening, strict=True)]

    def begin(self) -> None:
        """Draws the next ones and has them opened."""
        before = self._mixture.state()
        draws = [next(self._mixture) for _ in range(self._size)]
        self._ahead.append((before, draws, [self._threads.submit(self._open, draw) for draw in draws]))

    def instead(self, draw: Draw, error: InputError) -> T:
        """What takes the place of a draw of no use. Raises InputError where its source has nothing else."""
        while True:
            draw = self._mixture.instead(draw, error)
            try:
                return self._open(draw)
            except InputError as another:
                error = another

    def key(self, draw: Draw, at: int) -> str:
        """A seed for picture `at` of a draw, other ones in other epochs."""
        return f"{self._mixture.seed}:{draw.example.place}:{draw.epoch}:{at}"

    def state(self) -> dict[str, Any]:
        return self._ahead[0][0] if self._ahead else self._mixture.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._ahead.clear()
        self._mixture.resume(state)

    def _usable(self, draw: Draw, opening: "Future[T]") -> T:
        try:
            return opening.result()
        except InputError as error:
            return self.instead(draw, error)


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
