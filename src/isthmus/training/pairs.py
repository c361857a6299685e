"""Batches of pairs: pictures with the epoch's caption of each, pictures opened ahead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from isthmus.data.chance import chance
from isthmus.data.instructions import caption_of
from isthmus.data.mixture import Draw, Mixture
from isthmus.errors import PictureError
from isthmus.images.views import Fit, Views
from isthmus.training.ahead import Ahead, Encode, InOrder, Vary, chance_of, damaged, opened, sources_of
from isthmus.vision.features import Features

Look: TypeAlias = Callable[[Sequence[Views]], Features]
"""A frozen encoder's encode."""


@dataclass(frozen=True)
class Pairs:
    """A batch of b. `shown`: what the encoder is to see, or what it made of it. `turn`: where the joint sequence stood
    before, the same on all ranks."""

    shown: tuple[Views, ...] | Features
    captions: tuple[str, ...]
    places: tuple[str, ...]
    turn: int


@dataclass(frozen=True)
class _Opened:
    """`shown`: Views, or the picture as the record names it where the cache opens it."""

    draw: Draw
    caption: str
    shown: Any


class PairBatches:
    """Batches of the loop: this rank's share of a mixture, `size` pairs at a time, read as `Ahead` reads.

    A record of no use has a damaged picture, or is anything but one picture with captions.
    """

    def __init__(
        self,
        mixture: Mixture,
        size: int,
        fit: Fit,
        *,
        look: Look | None = None,
        cached: Encode | None = None,
        vary: Vary | None = None,
    ) -> None:
        """`look` (None: pictures stay Views) and `cached`, a FeatureCache's encode, are of a frozen encoder. `vary`:
        augmentation; what varies is not cached."""
        self._mixture, self._fit, self._look, self._vary = mixture, fit, look, vary
        self._cached = cached if vary is None else None
        self._ahead = Ahead(InOrder(mixture, size), self._open)

    def __next__(self) -> Pairs:
        turn = int(self.state()["place"])
        batch = self._ahead.take()
        shown = self._shown(batch)
        self._ahead.begin()
        return Pairs(shown, tuple(b.caption for b in batch), tuple(b.draw.example.place for b in batch), turn)

    def state(self) -> dict[str, Any]:
        return self._ahead.state()

    def resume(self, state: dict[str, Any]) -> None:
        self._ahead.resume(state)

    def _open(self, draw: Draw) -> _Opened:
        caption = caption_of(draw.example, seed=self._mixture.seed, epoch=draw.epoch)
        if self._cached is not None:
            return _Opened(draw, caption, sources_of(draw.example)[0])
        picture = opened(draw.example, self._fit)[0]
        if self._vary is not None:
            picture = self._vary(picture, chance_of(self._mixture, draw, 0))
        return _Opened(draw, caption, self._fit(picture))

    def _shown(self, batch: list[_Opened]) -> tuple[Views, ...] | Features:
        """In place of those in `batch` that the cache cannot open stand others then."""
        while self._cached is not None:
            sources = [each.shown for each in batch]
            try:
                return self._cached(sources)
            except PictureError:
                errors = damaged([[source] for source in sources])
                if not errors:
                    raise
            for at, error in errors.items():
                found = self._ahead.instead(batch[at].draw, error)
                assert found is not None  # a mixture finds one, or raises
                batch[at] = found
        views = tuple(each.shown for each in batch)
        return views if self._look is None else self._look(views)


def ids_of(captions: Sequence[str]) -> Tensor:
    """[b] int64: equal ones for equal captions, on all ranks."""
    return torch.tensor([chance("caption", caption) >> 1 for caption in captions], dtype=torch.int64)
