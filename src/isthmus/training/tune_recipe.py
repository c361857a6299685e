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
    """`start`: a composed model. `quantize`: its language model in four bits, frozen, for adapters to learn beside;
    None: as it was trained."""

    makes: Literal["model"]
    stages: Annotated[tuple[TuneStage, ...], Field(min_length=1)]
    quantize: Literal["nf4"] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = [stage.name for stage in self.stages if stage.learns.language_model is not None]
        if self.quantize is not None and whole:
            raise ValueError(f"stage {whole[0]} trains all of a language model whose four bits stay: let lora learn")
