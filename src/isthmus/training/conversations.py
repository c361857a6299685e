"""Batches of conversations: drawn from a mixture, put as instructions, pictures opened ahead, encoded and laid out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.data.instructions import instruct
from isthmus.data.mixture import Draw, Mixture
from isthmus.errors import InputError, PictureError
from isthmus.messages import Message
from isthmus.training.ahead import Ahead, Encode, Vary, damaged, opened, sources_of
from isthmus.training.answering import Conversations
from isthmus.vision.features import Features
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Sample


@dataclass(frozen=True)
class _Opened:
    """`pictures`: opened, or as they are where the encoder opens them."""

    draw: Draw
    messages: tuple[Message, ...]
    pictures: tuple[Any, ...]


class ConversationBatches:
    """Batches of the loop: this rank's share of a mixture, `size` conversations at a time, read as `Ahead` reads.

    A record of no use has a damaged picture or no label, or is longer than the context.
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
        self._model, self._mixture, self._vary = model, mixture, vary
        self._cached = cached if vary is None else None
        self._ahead = Ahead(mixture, size, self._open)

    def __next__(self) -> Conversations:
        batch = self._laid_out(self._ahead.take())
        self._ahead.begin()
        return batch

    def state(self) -> dict[str, Any]:
        return self._ahead.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._ahead.resume(state)

    def _open(self, draw: Draw) -> _Opened:
        example = instruct(draw.example, seed=self._mixture.seed, epoch=draw.epoch)
        if self._cached is not None:
            return _Opened(draw, example.messages, sources_of(example))
        pictures = opened(example, self._model.encoder.fit)
        if self._vary is not None:
            pictures = tuple(self._vary(picture, self._ahead.key(draw, at)) for at, picture in enumerate(pictures))
        return _Opened(draw, example.messages, pictures)

    def _laid_out(self, batch: list[_Opened]) -> Conversations:
        while True:
            conversations = [(each.messages, each.pictures) for each in batch]
            try:
                samples, features, errors = laid_out(self._model, conversations, self._cached or self._model.encode)
            except PictureError:
                samples, features, errors = [], None, damaged([each.pictures for each in batch])
                if not errors:
                    raise
            if not errors:
                return Conversations(tuple(samples), features, tuple(each.draw.example.place for each in batch))
            for at, error in errors.items():
                batch[at] = self._ahead.instead(batch[at].draw, error)


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
