"""A recipe for a composed model of one's own: its stages say what of it learns how."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from isthmus.training.own_recipe import OwnRecipe, OwnStage
from isthmus.training.policy import Policy
from isthmus.training.rehearsal import Rehearse


@dataclass(frozen=True)
class TuneStage(OwnStage):
    """A batch is of conversations. `rehearsal`: what the language model said before it learned is held against what it
    says now; only where it learns."""

    learns: Policy
    activation_checkpointing: bool = field(default=False, kw_only=True)
    rehearsal: Rehearse | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rehearsal is not None and not self.learns.of_language_model:
            raise ValueError(f"stage {self.name} has a rehearsal, but nothing of the language model learns in it")


@dataclass(frozen=True)
class TuneRecipe(OwnRecipe):
    """`start`: a composed model."""

    makes: Literal["model"]
    stages: Annotated[tuple[TuneStage, ...], Field(min_length=1)]
