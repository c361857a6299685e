"""What a stage would do, and what of its data can be used: as every dry run says it, whatever is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from isthmus.data.survey import Survey
from isthmus.training.loop import Group
from isthmus.training.own_recipe import OwnStage
from isthmus.training.padding import Filling
from isthmus.vlm.quantised import count

LOOKED_AT = 64
"""Records of each source that are opened."""


@dataclass(frozen=True)
class StagePlan:
    """`learning` and `frozen`: parameters by part. `memory`: bytes, of weights, gradients, AdamW's two moments and
    whatever average or best is kept; and of activations, where `with_activations` (the encoder's own never are).
    `filling`: of its batches, where they are of conversations."""

    name: str
    steps: int
    records_a_step: int
    learning: dict[str, int]
    frozen: dict[str, int]
    memory: int
    with_activations: bool
    filling: Filling | None = None

    def told(self, records: str) -> list[str]:
        """`records`: what they are called."""
        learning, frozen = (_told(each) for each in (self.learning, self.frozen))
        note = "" if self.with_activations else " before activations"
        lines = [
            f"  {self.name}: {self.steps} steps of {self.records_a_step} {records}",
            f"    learns: {learning}; frozen: {frozen or 'nothing'}; about {self.memory / 1e9:.1f} GB{note}",
        ]
        return lines if self.filling is None else [*lines, f"    {self.filling}"]


def stage_plan(
    stage: OwnStage,
    groups: Sequence[Group],
    parts: Mapping[str, nn.Module],
    *,
    steps: int,
    records_a_step: int,
    activations: int | None = None,
    filling: Filling | None = None,
) -> StagePlan:
    """`parts`: all weights, each in one, frozen and thawed as the stage says. `activations`: bytes, None: not known."""
    learning = {group.name: sum(p.numel() for p in group.parameters) for group in groups}
    frozen = {name: sum(count(p) for p in part.parameters() if not p.requires_grad) for name, part in parts.items()}
    copies = 3 + (stage.average is not None) + (stage.patience is not None)  # gradient and AdamW's two moments
    weights = sum(p.numel() * p.element_size() for part in parts.values() for p in part.parameters())
    return StagePlan(
        stage.name,
        steps,
        records_a_step,
        learning,
        {name: count for name, count in frozen.items() if count},
        weights + 4 * copies * sum(learning.values()) + (activations or 0),
        activations is not None,
        filling,
    )


def data_told(sources: Sequence[Survey], held_out: int, records: str) -> list[str]:
    lines = [f"  {each}" for each in sources]
    for source in sources:
        lines += [f"    left out: {bad.place}: {bad.error}" for bad in source.bad[:3]]
    return [*lines, f"  held out: {held_out} {records}"]


def data_json(sources: Sequence[Survey]) -> list[dict[str, object]]:
    return [{**vars(source), "bad": [bad.place for bad in source.bad]} for source in sources]


def _told(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {_counted(count)}" for name, count in parts.items())


def _counted(parameters: int) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if parameters >= size:
            return f"{parameters / size:.1f} {unit}"
    return str(parameters)
