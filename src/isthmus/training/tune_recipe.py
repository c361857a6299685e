"""A recipe for a composed model of one's own: its stages say what of it learns how."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from isthmus.training.arranged import Arrange
from isthmus.training.own_recipe import OwnRecipe, OwnStage
from isthmus.training.policy import Policy
from isthmus.training.rehearsal import Rehearse
from isthmus.training.strict import Count


@dataclass(frozen=True)
class TuneStage(OwnStage):
    """`rehearsal`: what the language model said before it learned is held against what it says now.

    A batch is `batch` rows at most. `arrange`: each row a conversation, in plain order ("order") or with others of
    about its length ("length"); or several in a row ("packed") of at most `tokens`. With "length" `tokens` bounds the
    whole batch, padding too (None: no limit)."""

    learns: Policy
    activation_checkpointing: bool = field(default=False, kw_only=True)
    arrange: Arrange = field(default="order", kw_only=True)
    tokens: Count | None = field(default=None, kw_only=True)
    rehearsal: Rehearse | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rehearsal is not None and not self.learns.of_language_model:
            raise ValueError(f"stage {self.name} has a rehearsal, but nothing of the language model learns in it")
        if self.arrange == "order" and self.tokens is not None:
            raise ValueError(f"stage {self.name} has tokens for rows in plain order: give arrange length or packed")
        if self.arrange == "packed" and self.tokens is None:
            raise ValueError(f"stage {self.name} packs rows: give tokens, how many each may have")
        if self.tokens is not None and self.steps is None:
            raise ValueError(
                f"stage {self.name} fills batches by tokens: how many an epoch has is not known before; give it steps"
            )


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
