"""How full a stage's batches are, from the lengths of its first conversations: no picture is decoded for that."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from isthmus.data.batching import Grouped, Packed
from isthmus.data.instructions import instruct
from isthmus.data.mixture import Mixture, Prepared
from isthmus.training.arranged import WINDOW
from isthmus.training.lengths import Lengths
from isthmus.training.tune_recipe import TuneStage
from isthmus.vlm.model import VisionLanguageModel


@dataclass(frozen=True)
class Filling:
    """Of `looked_at` conversations: tokens on average and at most; `a_row`: conversations in a row; `padding`: the
    share of positions that are none; `by_length`: what that would be with arrange: length. `exact`: as Lengths has
    it."""

    looked_at: int
    tokens_mean: float
    tokens_most: int
    a_row: float
    padding: float
    by_length: float
    exact: bool

    def __str__(self) -> str:
        said = f"{self.padding:.0%} of a batch's positions are padding"
        if self.a_row > 1:
            said += f", a row holds {self.a_row:.1f} conversations"
        elif self.by_length < self.padding:
            said += f" (arrange: length would make it {self.by_length:.0%})"
        return said if self.exact else f"{said}, by an estimate of pictures' tokens"


def filling(model: VisionLanguageModel, stage: TuneStage, mixture: Mixture) -> Filling:
    """`mixture`: the stage's, whose first WINDOW draws are read, an epoch's at most. Raises InputError where none of
    it can be used."""
    lengths = Lengths(model, varied=stage.augmentation is not None)
    prepared = Prepared(mixture, lambda d: lengths.of(instruct(d.example, seed=mixture.seed, epoch=d.epoch)))
    epoch = sum(mixture.sizes) if all(mixture.sizes) else WINDOW
    found = list(islice(prepared, min(WINDOW, epoch)))
    if stage.tokens is not None:
        found = [each for each in found if each <= stage.tokens] or [stage.tokens]
    by_length = _picked(found, Grouped(stage.batch)(found, 0))
    rows = [[each] for each in found]
    match stage.arrange:
        case "order":
            batches = [found[at : at + stage.batch] for at in range(0, len(found), stage.batch)]
        case "length":
            batches = _picked(found, Grouped(stage.batch, stage.tokens)(found, 0))
        case "packed":
            assert stage.tokens is not None
            rows = _picked(found, Packed(stage.tokens)(found, 0))
            filled = [sum(row) for row in rows]
            batches = _picked(filled, Grouped(stage.batch)(filled, 0))
    return Filling(
        len(found),
        sum(found) / len(found),
        max(found),
        len(found) / len(rows),
        padding(batches),
        padding(by_length),
        lengths.exact,
    )


def padding(batches: Sequence[Sequence[int]]) -> float:
    """The share of positions that are padding, of batches of rows of these lengths."""
    return 1 - sum(map(sum, batches)) / sum(len(rows) * max(rows) for rows in batches)


def _picked(lengths: Sequence[int], groups: Sequence[Sequence[int]]) -> list[list[int]]:
    return [[lengths[at] for at in group] for group in groups]
