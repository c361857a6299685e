"""What a recipe would do, before it does it: what learns, how many steps, how long a sample is, how much memory."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch

from isthmus.data.example import Example
from isthmus.data.instructions import instruct
from isthmus.data.survey import Survey, records_of, survey
from isthmus.errors import InputError
from isthmus.progress import progress
from isthmus.training.ahead import opened
from isthmus.training.conversations import laid_out
from isthmus.training.padding import filling
from isthmus.training.policy import apply, parts_of
from isthmus.training.stage_plan import LOOKED_AT, StagePlan, data_json, data_told, stage_plan
from isthmus.training.stages import Source, drawn_from, mixture_of, open_sources, steps_of
from isthmus.training.tune import require_arrangements
from isthmus.training.tune_recipe import TuneRecipe, TuneStage
from isthmus.vlm.inspect import Inspection, inspect
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Sample

KEPT, RECOMPUTED = 34, 2
"""Bytes of activations a layer keeps for each position and channel in half precision, and keeps where the rest is
computed again: Korthikanti et al., 2022, equations 2 and 5, without attention's matrices, which are not kept here."""


@dataclass(frozen=True)
class Plan:
    """`tokens`: of the looked-at samples the mean and the most, pictures' among them. `shown`: one of them. `skipped`:
    of each stage whose data are not given, why."""

    stages: tuple[StagePlan, ...]
    skipped: dict[str, str]
    sources: tuple[Survey, ...]
    held_out: int
    tokens_mean: float
    tokens_most: int
    picture_tokens_mean: float
    shown: Inspection

    def as_json(self) -> dict[str, Any]:
        return {
            "stages": [asdict(stage) for stage in self.stages],
            "skipped": self.skipped,
            "data": data_json(self.sources),
            "held_out": self.held_out,
            "tokens": {
                "mean": self.tokens_mean,
                "most": self.tokens_most,
                "of pictures, mean": self.picture_tokens_mean,
            },
        }

    def __str__(self) -> str:
        lines = data_told(self.sources, self.held_out, "conversations")
        lines.append(
            f"  a sample has {self.tokens_mean:.0f} tokens on average and {self.tokens_most} at most, "
            f"{self.picture_tokens_mean:.0f} of them of pictures"
        )
        lines += [f"  {name}: skipped, {why}" for name, why in self.skipped.items()]
        for stage in self.stages:
            lines += stage.told("conversations")
        return "\n".join(["the plan:", *lines, "one sample, as the model sees it:", self.shown.table()])


def plan(recipe: TuneRecipe, *, device: str | torch.device = "cpu", ranks: int = 1, quiet: bool = False) -> Plan:
    """Loads the model and looks at some of the data; trains nothing. Raises as `tune`."""
    skipped, recipe = recipe.skipped(), recipe.given()
    sources = open_sources(recipe)
    model = load_vlm(recipe.start, device=device, quantize=recipe.quantize)
    require_arrangements(recipe, model)
    with progress("looking at data", None, "records", quiet=quiet) as reporter:
        surveys = tuple(survey(source.train, LOOKED_AT, progress=reporter) for source in sources.values())
    of_each, shown = _samples(model, sources)
    samples = [sample for each in of_each.values() for sample in each]
    lengths = [len(sample.ids) for sample in samples]
    stages = tuple(
        _staged(stage, model, sources, of_each, ranks, recipe.seed + at) for at, stage in enumerate(recipe.stages)
    )
    return Plan(
        stages,
        skipped,
        surveys,
        sum(len(source.held) for source in sources.values()),
        sum(lengths) / len(lengths),
        max(lengths),
        sum(sample.shown for sample in samples) / len(samples),
        shown,
    )


def _samples(model: VisionLanguageModel, sources: Mapping[str, Source]) -> tuple[dict[str, list[Sample]], Inspection]:
    found: dict[str, list[Sample]] = {name: [] for name in sources}
    shown = None
    for name, source in sources.items():
        for record in islice(records_of(source.train, LOOKED_AT), LOOKED_AT // 4):
            if not isinstance(record, Example):
                continue
            asked = instruct(record, seed=0)
            try:
                samples, _, errors = laid_out(model, [(asked.messages, opened(asked, model.encoder.fit))], model.encode)
            except InputError:
                continue  # the survey names it
            if not errors:
                found[name] += samples
                shown = shown or inspect(model, asked.messages)
    if shown is None:
        raise InputError("no record can be trained on", todo="look at what is said of the data above")
    return found, shown


def _staged(
    stage: TuneStage,
    model: VisionLanguageModel,
    sources: Mapping[str, Source],
    samples: Mapping[str, Sequence[Sample]],
    ranks: int,
    seed: int,
) -> StagePlan:
    drawn = drawn_from(stage, sources)
    longest = max((len(sample.ids) for name in drawn for sample in samples[name]), default=0)
    groups = apply(stage.learns, model)
    config = model.language_model.config
    width = config.hidden_size
    layers = config.num_hidden_layers
    size = 2 if next(model.language_model.parameters()).dtype != torch.float32 else 4
    a_channel = (RECOMPUTED if stage.activation_checkpointing else KEPT) * size // 2
    found = filling(model, stage, mixture_of(stage, drawn, seed=seed))
    row = stage.tokens if stage.arrange == "packed" and stage.tokens else longest
    activations = stage.batch * row * width * layers * a_channel
    return stage_plan(
        stage,
        groups,
        parts_of(model),
        steps=steps_of(stage, drawn, ranks),
        records_a_step=round(found.a_row * stage.batch) * stage.accumulate * ranks,
        activations=activations,
        filling=found,
    )
