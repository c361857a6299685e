"""A recipe for a model of one's own: what it begins as, its data, and stages that say what learns how."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from isthmus.training.policy import Policy
from isthmus.training.strict import STRICT, Count, Share

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]


@dataclass(frozen=True)
class DataEntry:
    """`path`: whatever `data.open.open_data` takes, None where it is given on the command line; `form`, `folder`,
    `annotations`, `split`, `streaming` as there."""

    __pydantic_config__ = STRICT
    path: Annotated[str, Field(min_length=1)] | None
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
class TuneStage:
    """One stage. `data`: shares of the recipe's data in it (None: all, by size). `batch` conversations are computed at
    once on each rank, `accumulate` times a step. `steps`, or `epochs` of all its data together. `evaluate`: so often on
    the way is the held-out loss taken; `patience`: so many times without a better one end the stage, and the best of
    them is kept. The rest as LoopSettings says."""

    __pydantic_config__ = STRICT
    name: Name
    learns: Policy
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
    activation_checkpointing: bool = False

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"stage {self.name} is to be as long as steps or as epochs say: give one of them")


@dataclass(frozen=True)
class TuneRecipe:
    """`start`: a model by name or folder. `held_out`: a share of each source's pictures that no stage sees. `cache`:
    whether the frozen encoder's features are kept between epochs and runs (of augmented pictures they are not).
    `precision`: as LoopSettings has it."""

    __pydantic_config__ = STRICT
    makes: Literal["model"]
    seed: int
    start: Annotated[str, Field(min_length=1)]
    data: Annotated[dict[Name, DataEntry], Field(min_length=1)]
    stages: Annotated[tuple[TuneStage, ...], Field(min_length=1)]
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1
    cache: bool = True
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two stages are called {twice[0]}")
        for stage in self.stages:
            unknown = sorted(set(stage.data or ()) - set(self.data))
            if unknown:
                raise ValueError(f"stage {stage.name} draws from {unknown[0]}, of which data says nothing")
