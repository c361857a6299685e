"""What all recipes for a model of one's own have in common: what it begins as, its data, and stages."""

from dataclasses import KW_ONLY, dataclass, replace
from typing import Annotated, Literal, Self

from pydantic import Field

from isthmus.errors import InputError
from isthmus.training.strict import STRICT, Count, Share
from isthmus.training.tracking import Tracker

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]


@dataclass(frozen=True)
class DataEntry:
    """`path`: whatever `data.open.open_data` takes, None where it is given on the command line; `optional`: or not at
    all; `form`, `folder`, `annotations`, `split`, `streaming` as there."""

    __pydantic_config__ = STRICT
    path: Annotated[str, Field(min_length=1)] | None
    optional: bool = False
    form: str | None = None
    folder: str | None = None
    annotations: str | None = None
    split: str | None = None
    streaming: bool = False


@dataclass(frozen=True)
class Augmentation:
    """How a picture may look too, each time it is drawn. `flip` mirrors left and right, and is wrong wherever side
    matters (text, scans); `rotate`: degrees at most; `crop`: share of the area that may be missing; `light`: by how
    much brightness and contrast may change."""

    __pydantic_config__ = STRICT
    flip: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    light: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True)
class OwnStage:
    """One stage. `data`: shares of the recipe's data in it (None: all, by size). `batch` records are computed at once
    on each rank, `accumulate` times a step. `steps`, or `epochs` of all its data together. `evaluate`: so often on the
    way is the held-out loss of these data taken; `patience`: so many times without a better one end the stage, and the
    best of them is kept. The rest as LoopSettings says. A stage is skipped where its data are optional and none of them
    is given."""

    __pydantic_config__ = STRICT
    name: Name
    _: KW_ONLY
    batch: Count = 8
    accumulate: Count = 1
    steps: Count | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    data: Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)] | None = None
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    clip: Share = 1.0
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    evaluate: Count = 4
    patience: Count | None = None
    checkpoint_every: Count | None = None
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"stage {self.name} is to be as long as steps or as epochs say: give one of them")


@dataclass(frozen=True)
class OwnRecipe:
    """`start`: a model by name or folder. `held_out`: a share of each source's pictures that no stage sees. `cache`:
    whether a frozen encoder's features are kept between epochs and runs (of augmented pictures they are not).
    `precision` and `track`: as LoopSettings has them."""

    __pydantic_config__ = STRICT
    makes: str
    seed: int
    start: Annotated[str, Field(min_length=1)]
    data: Annotated[dict[Name, DataEntry], Field(min_length=1)]
    stages: Annotated[tuple[OwnStage, ...], Field(min_length=1)]
    _: KW_ONLY
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1
    cache: bool = True
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    track: Tracker | None = None

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two stages are called {twice[0]}")
        for stage in self.stages:
            unknown = sorted(set(stage.data or ()) - set(self.data))
            if unknown:
                raise ValueError(f"stage {stage.name} draws from {unknown[0]}, of which data says nothing")
        idle = [name for name in self.data if not any(_draws(stage, name) for stage in self.stages)]
        if idle:
            raise ValueError(f"no stage draws from {idle[0]}")

    def given(self) -> Self:
        """The same without the data that are optional and not given, and without the stages that have no others.

        Raises InputError where nothing is left.
        """
        data = {name: entry for name, entry in self.data.items() if entry.path is not None or not entry.optional}
        stages = tuple(
            stage if stage.data is None else replace(stage, data={n: s for n, s in stage.data.items() if n in data})
            for stage in self.stages
            if any(_draws(stage, name) for name in data)
        )
        if not stages:
            raise InputError("no data are given", todo=f"give --data {next(iter(self.data))}=PATH")
        return replace(self, data=data, stages=stages)

    def skipped(self) -> dict[str, str]:
        """By name of each stage that `given` leaves out, why."""
        left = {stage.name for stage in self.given().stages}
        return {
            stage.name: ", ".join(f"no {name} given (--data {name}=PATH)" for name in stage.data or self.data)
            for stage in self.stages
            if stage.name not in left
        }


def _draws(stage: OwnStage, name: str) -> bool:
    return stage.data is None or name in stage.data


def one_batch_a_step(stage: OwnStage) -> None:
    """Raises ValueError where a stage parts its steps: pairs are told apart within a batch."""
    if stage.accumulate > 1:
        raise ValueError(
            f"stage {stage.name} accumulates {stage.accumulate} batches: negatives are the other pairs of a batch, "
            "which that does not make more; raise batch, or run on more processes"
        )
    if stage.batch == 1:
        raise ValueError(f"stage {stage.name} has batches of one pair: there is nothing to tell it apart from")
