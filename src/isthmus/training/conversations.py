"""Batches of conversations: drawn from a mixture, put as instructions, pictures opened ahead, encoded and laid out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.data.example import Example
from isthmus.data.instructions import instruct
from isthmus.data.mixture import Draw, Mixture
from isthmus.errors import InputError, PictureError
from isthmus.messages import Message
from isthmus.training.ahead import Ahead, Encode, Groups, InOrder, Vary, chance_of, damaged, opened, sources_of
from isthmus.training.answering import Conversations
from isthmus.training.arranged import Arrange, Arranged, Planned, require_arrangement
from isthmus.training.lengths import Lengths, learnable
from isthmus.vision.features import Features
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Sample


@dataclass(frozen=True)
class _Opened:
    """`pictures`: opened, or as they are where the encoder opens them."""

    item: Draw | Planned
    example: Example
    pictures: tuple[Any, ...]


class ConversationBatches:
    """Batches of the loop: this rank's share of a mixture, `size` rows at a time, read as `Ahead` reads.

    A record of no use has a damaged picture or no label, or is longer than the context.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        mixture: Mixture,
        size: int,
        *,
        arrange: Arrange = "order",
        tokens: int | None = None,
        cached: Encode | None = None,
        vary: Vary | None = None,
    ) -> None:
        """`arrange` and `tokens`: as Arranged; in plain order each row is one conversation. `cached`: a FeatureCache's
        encode, which opens what it does not know. `vary`: augmentation of what is trained on; what varies is not
        cached. Raises as `require_arrangement`."""
        self._model, self._mixture, self._vary = model, mixture, vary
        self._cached = cached if vary is None else None
        self._packed = arrange == "packed"
        groups: Groups[Any] = InOrder(mixture, size)
        if arrange != "order":
            require_arrangement(model, arrange, tokens, varied=vary is not None)
            groups = Arranged(mixture, size, arrange, tokens, Lengths(model, varied=vary is not None))
        self._ahead: Ahead[Draw | Planned, _Opened] = Ahead(groups, self._open)

    def __next__(self) -> Conversations:
        batch = self._laid_out(self._ahead.take())
        self._ahead.begin()
        return batch

    def state(self) -> dict[str, Any]:
        return self._ahead.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._ahead.resume(state)

    def _open(self, item: Draw | Planned) -> _Opened:
        draw = item.draw if isinstance(item, Planned) else item
        example = instruct(draw.example, seed=self._mixture.seed, epoch=draw.epoch)
        if self._cached is not None:
            return _Opened(item, example, sources_of(example))
        pictures = opened(example, self._model.encoder.fit)
        if self._vary is not None:
            pictures = tuple(self._vary(each, chance_of(self._mixture, draw, at)) for at, each in enumerate(pictures))
        return _Opened(item, example, pictures)

    def _laid_out(self, batch: list[_Opened]) -> Conversations:
        while True:
            if not batch:
                raise InputError("no conversation of a batch can be used", todo="look at bad_records.jsonl")
            conversations = [(each.example.messages, each.pictures) for each in batch]
            try:
                samples, features, errors = laid_out(self._model, conversations, self._cached or self._model.encode)
            except PictureError:
                samples, features, errors = [], None, damaged([each.pictures for each in batch])
                if not errors:
                    raise
            errors = errors or _longer(batch, samples)
            if not errors:
                rows = tuple(Counter(_row(each) for each in batch).values()) if self._packed else None
                return Conversations(tuple(samples), features, tuple(each.example.place for each in batch), rows)
            found = [
                self._ahead.instead(each.item, errors[at]) if at in errors else each for at, each in enumerate(batch)
            ]
            batch = [each for each in found if each is not None]


def _row(each: _Opened) -> int:
    return each.item.row if isinstance(each.item, Planned) else 0


def _longer(batch: Sequence[_Opened], samples: Sequence[Sample]) -> dict[int, InputError]:
    """By index, those that do not fit where they were planned: a picture's file was wrong about its size."""
    errors: dict[int, InputError] = {}
    for at, (each, sample) in enumerate(zip(batch, samples, strict=True)):
        room = each.item.room if isinstance(each.item, Planned) else None
        if room is not None and len(sample.ids) > room:
            why = "a picture is not of the size its file says"
            errors[at] = InputError(f"it has {len(sample.ids)} tokens where {room} were planned", why=why)
    return errors


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
            samples.append(learnable(model, messages, own))
        except InputError as error:
            errors[at] = error
    return samples, features, errors
