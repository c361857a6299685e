"""Batches of conversations: drawn from a mixture, put as instructions, pictures opened ahead, encoded and laid out."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

from isthmus.data.example import Example
from isthmus.data.instructions import instruct
from isthmus.data.mixture import Draw, Mixture
from isthmus.errors import InputError, PictureError
from isthmus.images.open import picture_of
from isthmus.images.views import Picture
from isthmus.messages import Message
from isthmus.training.answering import Conversations
from isthmus.vision.features import Features
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Sample

Encode: TypeAlias = Callable[[Sequence[Any]], Features]
"""Of opened pictures; a FeatureCache's also of paths and bytes, which it does not open if it knows them."""
Vary: TypeAlias = Callable[[Picture, str], Picture]
"""A picture as it may look too. The text is a seed: equal ones give equal pictures."""
OPENING = 4
"""Threads that open pictures."""


@dataclass(frozen=True)
class _Opened:
    """`pictures`: opened, or as they are where the encoder opens them."""

    draw: Draw
    messages: tuple[Message, ...]
    pictures: tuple[Any, ...]


class ConversationBatches:
    """Batches of the loop: this rank's share of a mixture, `size` conversations at a time.

    The next batch is drawn and its pictures are opened while this one is trained on; `state` counts only what was given
    out. A record that turns out to be of no use (a damaged picture, no label, longer than the context) is replaced by
    the next of its source and stands in the mixture's report.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        mixture: Mixture,
        size: int,
        *,
        cached: Encode | None = None,
        vary: Vary | None = None,
    ) -> None:
        """`cached`: a FeatureCache's encode, which opens what it does not know. `vary`: augmentation of what is trained
        on; what varies is not cached."""
        self._model, self._mixture, self._size, self._vary = model, mixture, size, vary
        self._cached = cached if vary is None else None
        self._threads = ThreadPoolExecutor(OPENING, thread_name_prefix="opening")
        self._ahead: deque[tuple[dict[str, Any], list[Draw], list[Future[_Opened]]]] = deque()

    def __next__(self) -> Conversations:
        if not self._ahead:
            self._draw()
        _, draws, opening = self._ahead.popleft()
        self._ahead.clear()
        batch = self._laid_out([self._usable(draw, future) for draw, future in zip(draws, opening, strict=True)])
        self._draw()
        return batch

    def state(self) -> dict[str, Any]:
        return self._ahead[0][0] if self._ahead else self._mixture.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._ahead.clear()
        self._mixture.resume(state)

    def _draw(self) -> None:
        before = self._mixture.state()
        draws = [next(self._mixture) for _ in range(self._size)]
        self._ahead.append((before, draws, [self._threads.submit(self._open, draw) for draw in draws]))

    def _open(self, draw: Draw) -> _Opened:
        example = instruct(draw.example, seed=self._mixture.seed, epoch=draw.epoch)
        if self._cached is not None:
            return _Opened(draw, example.messages, sources_of(example))
        pictures = opened(example, self._model)
        if self._vary is not None:
            pictures = tuple(
                self._vary(picture, f"{self._mixture.seed}:{example.place}:{draw.epoch}:{at}")
                for at, picture in enumerate(pictures)
            )
        return _Opened(draw, example.messages, pictures)

    def _usable(self, draw: Draw, opening: "Future[_Opened]") -> _Opened:
        try:
            return opening.result()
        except InputError as error:
            return self._instead(draw, error)

    def _instead(self, draw: Draw, error: InputError) -> _Opened:
        while True:
            draw = self._mixture.instead(draw, error)
            try:
                return self._open(draw)
            except InputError as another:
                error = another

    def _laid_out(self, batch: list[_Opened]) -> Conversations:
        while True:
            conversations = [(each.messages, each.pictures) for each in batch]
            try:
                samples, features, errors = laid_out(self._model, conversations, self._cached or self._model.encode)
            except PictureError:
                samples, features, errors = [], None, _damaged(conversations)
            if not errors:
                return Conversations(tuple(samples), features, tuple(each.draw.example.place for each in batch))
            for at, error in errors.items():
                batch[at] = self._instead(batch[at].draw, error)


def sources_of(example: Example) -> tuple[Any, ...]:
    """Its pictures in reading order, as the record names them."""
    return tuple(part.source for said in example.messages for part in said.pictures)


def opened(example: Example, model: VisionLanguageModel) -> tuple[Picture, ...]:
    """An example's pictures in reading order. Raises PictureError."""
    at_least = model.encoder.fit.at_least
    return tuple(picture_of(source, at_least=at_least) for source in sources_of(example))


def laid_out(
    model: VisionLanguageModel,
    conversations: Sequence[tuple[Sequence[Message], Sequence[Any]]],
    encode: Encode,
) -> tuple[list[Sample], Features | None, dict[int, InputError]]:
    """Samples of conversations with their pictures, the features of all pictures in one batch (None: of none), and by
    index the error of each that cannot be trained on; where there is one, samples are fewer."""
    every = [picture for _, pictures in conversations for picture in pictures]
    features = encode(every) if every else None
    extents = model.extents(features) if features is not None else []
    samples, errors, first = [], {}, 0
    for at, (messages, pictures) in enumerate(conversations):
        own = extents[first : first + len(pictures)]
        first += len(pictures)
        try:
            sample = model.sample(messages, own)
            if not sample.trained:
                raise InputError("all its tokens are masked", why="nothing in it is an assistant's answer")
            samples.append(sample)
        except InputError as error:
            errors[at] = error
    return samples, features, errors


def _damaged(conversations: Sequence[tuple[Sequence[Message], Sequence[Any]]]) -> dict[int, InputError]:
    """By index, whose pictures cannot be opened."""
    errors: dict[int, InputError] = {}
    for at, (_, pictures) in enumerate(conversations):
        try:
            for source in pictures:
                picture_of(source, at_least=1)
        except PictureError as error:
            errors[at] = error
    return errors
