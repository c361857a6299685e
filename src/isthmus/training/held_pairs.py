"""Held-out pictures with all their captions: what retrieval is measured on, before, on the way and after."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import torch.distributed as dist
from torch import Tensor

from isthmus.contrastive.metrics import Retrieval
from isthmus.data.example import Example
from isthmus.data.instructions import caption_of
from isthmus.errors import InputError
from isthmus.images.open import picture_of
from isthmus.images.views import Fit, Views
from isthmus.training.ahead import OPENING, Encode, sources_of
from isthmus.training.pairs import Look, ids_of
from isthmus.training.stages import Source, spread
from isthmus.vision.features import Features

MOST_HELD = 1000
"""Held-out pictures that are searched; of more, as many evenly spread."""
AT_ONCE = 32
KS = (1, 5, 10)


@dataclass(frozen=True)
class HeldPairs:
    """G pictures, as their records name them, and Q captions; `owner` [Q]: the row of each caption's picture; `first`
    [G]: the row of each picture's first caption."""

    pictures: tuple[Any, ...]
    captions: tuple[str, ...]
    owner: tuple[int, ...]
    first: tuple[int, ...]
    fit: Fit

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def same(self) -> Tensor:
        """[Q] int64: equal ones for equal captions."""
        return ids_of(self.captions)

    def views(self) -> Iterator[list[Views]]:
        """Of all pictures, AT_ONCE at a time; the next ones are opened ahead."""
        with ThreadPoolExecutor(OPENING, thread_name_prefix="opening") as threads:
            batches = list(range(0, len(self), AT_ONCE))
            opening = [
                [threads.submit(self._cut, source) for source in self.pictures[at : at + AT_ONCE]] for at in batches[:1]
            ]
            for number in range(len(batches)):
                for at in batches[number + 1 : number + 2]:
                    opening.append([threads.submit(self._cut, each) for each in self.pictures[at : at + AT_ONCE]])
                yield [future.result() for future in opening[number]]
                opening[number] = []

    def features(self, look: Look, cached: Encode | None) -> Iterator[Features]:
        """Of all pictures, AT_ONCE at a time, by a frozen encoder."""
        if cached is None:
            yield from map(look, self.views())
            return
        for at in range(0, len(self), AT_ONCE):
            yield cached(self.pictures[at : at + AT_ONCE])

    def _cut(self, source: Any) -> Views:
        return self.fit(picture_of(source, at_least=self.fit.at_least))


def held_pairs(sources: Mapping[str, Source], fit: Fit, *, seed: int) -> HeldPairs:
    """All that can be used of what is held out; the rest is left out, as in training."""
    pictures: list[Any] = []
    captions: list[str] = []
    owner: list[int] = []
    first: list[int] = []
    with ThreadPoolExecutor(OPENING, thread_name_prefix="opening") as threads:
        held = spread([each for source in sources.values() for each in source.held], MOST_HELD)
        for example, usable in zip(held, threads.map(lambda each: _usable(each, seed), held), strict=True):
            if usable:
                first.append(len(captions))
                owner += [len(pictures)] * len(example.answers)
                captions += example.answers
                pictures += sources_of(example)
    return HeldPairs(tuple(pictures), tuple(captions), tuple(owner), tuple(first), fit)


def _usable(example: Example, seed: int) -> bool:
    try:
        caption_of(example, seed=seed)
        picture_of(sources_of(example)[0], at_least=1)
    except InputError:
        return False  # counted when training meets its like
    return True


def share(rows: Sequence[int]) -> Sequence[int]:
    """This rank's of rows that all ranks have: those of all ranks, one after the other, are `rows`."""
    if not (dist.is_available() and dist.is_initialized()):
        return rows
    rank, world = dist.get_rank(), dist.get_world_size()
    return rows[rank * len(rows) // world : (rank + 1) * len(rows) // world]


def told(found: Retrieval) -> dict[str, dict[str, dict[str, float]]]:
    """Recall both ways, as JSON: {"text to image": {"R@1": {"value", "low", "high"}, ...}, ...}."""
    ways = {"text to image": found.text_to_image, "image to text": found.image_to_text}
    return {way: {f"R@{k}": asdict(each) for k, each in of.recall.items()} for way, of in ways.items()}


def in_a_line(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """What `told` gives, as people read it."""
    return "; ".join(
        f"{way} "
        + ", ".join(f"{k} {each['value']:.2f} [{each['low']:.2f}, {each['high']:.2f}]" for k, each in of.items())
        for way, of in figures.items()
    )
