"""A recipe for a composed model of one's own: its stages say what of it learns how."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from isthmus.training.own_recipe import OwnRecipe, OwnStage
from isthmus.training.policy import Policy


@dataclass(frozen=True)
class TuneStage(OwnStage):
    """A batch is of conversations."""

    learns: Policy
    activation_checkpointing: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class TuneRecipe(OwnRecipe):
    """`start`: a composed model."""

    makes: Literal["model"]
    stages: Annotated[tuple[TuneStage, ...], Field(min_length=1)]
