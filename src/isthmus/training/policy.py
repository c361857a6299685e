"""What learns: of each part of a model all, some, a low-rank addition, or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from isthmus.connectors.trainable import thaw
from isthmus.errors import InputError
from isthmus.training.loop import Group
from isthmus.training.strict import STRICT, Count, Rate, Share
from isthmus.vlm.adapters import MARK, AdapterShape, Targets, add_adapters, has_adapters
from isthmus.vlm.model import Part, VisionLanguageModel


@dataclass(frozen=True)
class Learns:
    """At which rate, at its height, and with what weight decay."""

    __pydantic_config__ = STRICT
    rate: Rate
    weight_decay: Share = 0.0


@dataclass(frozen=True)
class LoraLearns:
    """A low-rank addition to a language model's linear maps, as AdapterShape says."""

    __pydantic_config__ = STRICT
    rate: Rate
    rank: Count = 16
    scale: Annotated[float, Field(gt=0)] = 2.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Targets = "all-linear"
    weight_decay: Share = 0.0

    @property
    def shape(self) -> AdapterShape:
        return AdapterShape(self.rank, self.scale, self.dropout, self.targets)


@dataclass(frozen=True)
class Policy:
    """None: frozen. `language_model` is all of it, and excludes the finer ones; `norms` and `embeddings` are its own.
    The encoder of a composed model is always frozen (contrastive recipes train towers)."""

    __pydantic_config__ = STRICT
    connector: Learns | None = None
    language_model: Learns | None = None
    lora: LoraLearns | None = None
    norms: Learns | None = None
    embeddings: Learns | None = None

    def __post_init__(self) -> None:
        finer = [name for name in ("lora", "norms", "embeddings") if getattr(self, name) is not None]
        if self.language_model is not None and finer:
            raise ValueError(f"all of the language model learns, and {finer[0]} beside it")
        if not (finer or self.connector or self.language_model):
            raise ValueError("nothing learns: give a part a rate")

    @property
    def of_language_model(self) -> bool:
        """Whether anything of the language model learns, or beside it."""
        return any((self.language_model, self.lora, self.norms, self.embeddings))


def apply(policy: Policy, model: VisionLanguageModel) -> list[Group]:
    """Freezes and thaws `model`, adds adapters where the policy has them, and says what learns at which rate.

    Adapters that are there already go on learning. Where weights of the language model itself learn it is kept in
    float32: AdamW's small steps are lost in bf16. Raises MissingPart where peft is needed and not installed, InputError
    where a part has nothing that could learn.
    """
    language = model.language_model
    if policy.lora is not None and not has_adapters(language):
        add_adapters(language, policy.lora.shape)
    language.requires_grad_(False)
    if policy.language_model or policy.norms or policy.embeddings:
        language.float()
    own = dict(language.named_parameters())
    embedding_weights = {id(p) for p in _embeddings(language)}
    chosen: dict[str, tuple[Learns | LoraLearns, dict[str, nn.Parameter]]] = {}
    if policy.connector is not None:
        thaw(model.connector)
        chosen["connector"] = policy.connector, dict(model.connector.named_parameters())
    if policy.language_model is not None:
        chosen["language_model"] = policy.language_model, own
    if policy.lora is not None:
        chosen["lora"] = policy.lora, {name: p for name, p in own.items() if MARK in name}
    if policy.norms is not None:
        chosen["norms"] = policy.norms, dict(_norms(language))
    if policy.embeddings is not None:
        chosen["embeddings"] = policy.embeddings, {n: p for n, p in own.items() if id(p) in embedding_weights}
    for name, (_, parameters) in chosen.items():
        if not parameters:
            raise InputError(f"{name} cannot learn", why=f"{model.name} has none", todo="take it out of the recipe")
    learning = {n for name, (_, each) in chosen.items() if name != "connector" for n in each}
    model.set_learning("language_model", frozenset(learning))
    model.set_learning("connector", frozenset(chosen["connector"][1]) if "connector" in chosen else frozenset())
    parts: dict[Part, bool] = {"connector": policy.connector is not None, "language_model": bool(learning)}
    model.set_trainable(*(part for part, learns in parts.items() if learns))
    return [
        Group(name, tuple(parameters.values()), learns.rate, learns.weight_decay)
        for name, (learns, parameters) in chosen.items()
    ]


def _norms(language_model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, module in language_model.named_modules():
        if "norm" in type(module).__name__.lower():
            yield from ((f"{name}.{inner}", p) for inner, p in module.named_parameters(recurse=False))


def _embeddings(language_model: Any) -> Iterator[nn.Parameter]:
    for module in (language_model.get_input_embeddings(), language_model.get_output_embeddings()):
        if module is not None:
            yield from module.parameters(recurse=False)


def parts_of(model: VisionLanguageModel) -> dict[str, nn.Module]:
    """What of a composed model is sealed."""
    return {"encoder": model.encoder.net, "connector": model.connector, "language_model": model.language_model}
