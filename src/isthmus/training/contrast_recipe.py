"""Recipes that learn from pictures and their captions alone: a dual encoder, and a Q-Former's first stage."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from isthmus.training.own_recipe import OwnRecipe, OwnStage, one_batch_a_step
from isthmus.training.policy import Learns
from isthmus.training.strict import STRICT, Count


@dataclass(frozen=True)
class ContrastPolicy:
    """Of a dual encoder's parts; None: frozen. A head is the map from its tower to the common space; some families
    (SigLIP) have none. `temperature`: the scale of similarities, and the sigmoid's bias."""

    __pydantic_config__ = STRICT
    image_tower: Learns | None = None
    image_head: Learns | None = None
    text_tower: Learns | None = None
    text_head: Learns | None = None
    temperature: Learns | None = None

    def __post_init__(self) -> None:
        if not any(vars(self).values()):
            raise ValueError("nothing learns: give a part a rate")


@dataclass(frozen=True)
class ContrastStage(OwnStage):
    """A batch is of pairs; all of them, on all ranks, are each other's negatives."""

    learns: ContrastPolicy

    def __post_init__(self) -> None:
        super().__post_init__()
        one_batch_a_step(self)


@dataclass(frozen=True)
class ContrastRecipe(OwnRecipe):
    """`start`: a dual encoder. `loss`: "softmax" (CLIP's InfoNCE) or "sigmoid" (SigLIP's). `export`: the result is also
    written in Hugging Face layout, in the folder's huggingface/."""

    makes: Literal["dual-encoder"]
    stages: Annotated[tuple[ContrastStage, ...], Field(min_length=1)]
    loss: Literal["softmax", "sigmoid"] = field(default="softmax", kw_only=True)
    export: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class QFormerPolicy:
    """All of the Q-Former and its heads learn, but the word table where `words` is none of it."""

    __pydantic_config__ = STRICT
    qformer: Learns
    words: bool = False


@dataclass(frozen=True)
class QFormerStage(OwnStage):
    """A batch is of pairs, as ContrastStage's."""

    learns: QFormerPolicy

    def __post_init__(self) -> None:
        super().__post_init__()
        one_batch_a_step(self)


@dataclass(frozen=True)
class QFormerRecipe(OwnRecipe):
    """BLIP-2's first stage. `start`: a BERT (default/minilm) that a new Q-Former begins as, of `layers` of its layers
    (None: all) and with so many `queries`; or a BLIP-2 for retrieval, an InstructBLIP, or what came out of here, which
    say these themselves. `encoder`: the frozen encoder by name. `caption_tokens`: so much of a caption is read.
    `language_model`: by name, to which the Q-Former will speak: then the folder is a composed model, for stage 2 to
    begin as."""

    makes: Literal["qformer"]
    stages: Annotated[tuple[QFormerStage, ...], Field(min_length=1)]
    encoder: Annotated[str, Field(min_length=1)] = field(kw_only=True)
    queries: Count = field(default=32, kw_only=True)
    layers: Annotated[tuple[int, ...], Field(min_length=1)] | None = field(default=None, kw_only=True)
    dropout: Annotated[float, Field(ge=0, lt=1)] = field(default=0.1, kw_only=True)
    caption_tokens: Annotated[int, Field(ge=4)] = field(default=32, kw_only=True)
    language_model: Annotated[str, Field(min_length=1)] | None = field(default=None, kw_only=True)
