"""What a recipe for pairs would do, before it does it: what learns, how many steps, how long captions are, one pair."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch
from torch import nn

from isthmus.contrastive.tokenizer import Tokenizer
from isthmus.data.example import Example
from isthmus.data.instructions import caption_of
from isthmus.data.survey import Survey, records_of, survey
from isthmus.errors import InputError
from isthmus.images.views import Fit
from isthmus.progress import progress
from isthmus.training.ahead import opened
from isthmus.training.contrast_recipe import ContrastRecipe, ContrastStage, QFormerRecipe, QFormerStage
from isthmus.training.contrasting import Contrast, ContrastTask
from isthmus.training.dual_tuning import load_dual
from isthmus.training.loop import Group
from isthmus.training.own_recipe import OwnStage
from isthmus.training.stage1 import Reading, Stage1Task
from isthmus.training.stage1_tuning import begun
from isthmus.training.stage_plan import LOOKED_AT, StagePlan, data_json, data_told, stage_plan
from isthmus.training.stages import Source, drawn_from, open_sources, steps_of
from isthmus.vision.encoder import load_encoder


@dataclass(frozen=True)
class PairPlan:
    """`tokens`: of the looked-at captions the mean and the most; `cut`: how many of `captions` are longer than is read.
    `shown`: one pair, as the model gets it. `skipped`: of each stage whose data are not given, why."""

    stages: tuple[StagePlan, ...]
    skipped: dict[str, str]
    sources: tuple[Survey, ...]
    held_out: int
    captions: int
    tokens_mean: float
    tokens_most: int
    cut: int
    shown: str

    def as_json(self) -> dict[str, Any]:
        return {
            "stages": [asdict(stage) for stage in self.stages],
            "skipped": self.skipped,
            "data": data_json(self.sources),
            "held_out": self.held_out,
            "tokens": {"mean": self.tokens_mean, "most": self.tokens_most, "cut": self.cut, "of": self.captions},
        }

    def __str__(self) -> str:
        lines = data_told(self.sources, self.held_out, "records")
        lines.append(
            f"  a caption has {self.tokens_mean:.0f} tokens on average and {self.tokens_most} at most; "
            f"of {self.captions} looked at {self.cut} are cut"
        )
        lines += [f"  {name}: skipped, {why}" for name, why in self.skipped.items()]
        for stage in self.stages:
            lines += stage.told("pairs")
        return "\n".join(["the plan:", *lines, "one pair, as the model gets it:", f"  {self.shown}"])


def plan_pairs(
    recipe: ContrastRecipe | QFormerRecipe, *, device: str | torch.device = "cpu", ranks: int = 1, quiet: bool = False
) -> PairPlan:
    """Loads the model and looks at some of the data; trains nothing. Raises as `tune_dual` and `tune_stage1`."""
    skipped, recipe = recipe.skipped(), recipe.given()
    sources = open_sources(recipe)
    stages: list[StagePlan] = []
    if isinstance(recipe, ContrastRecipe):
        dual = load_dual(recipe.start, device)
        contrast, fit, tokenizer = Contrast(dual, recipe.loss), dual.fit, dual.tokenizer
        for stage in recipe.stages:
            groups = ContrastTask(contrast, stage.learns).groups()
            stages.append(_staged(stage, groups, contrast.parts(), sources, ranks))
    else:
        encoder = load_encoder(recipe.encoder, device=device)
        stage1, tokenizer = begun(recipe, encoder)
        reading, fit = Reading(stage1, tokenizer, seed=recipe.seed), encoder.fit
        parts = {"encoder": encoder.net, "qformer": stage1}
        for each in recipe.stages:
            stages.append(_staged(each, Stage1Task(reading, each.learns).groups(), parts, sources, ranks))
    with progress("looking at data", None, "records", quiet=quiet) as reporter:
        surveys = tuple(survey(source.train, LOOKED_AT, progress=reporter) for source in sources.values())
    lengths, cut, shown = _captions(sources, tokenizer, fit)
    return PairPlan(
        tuple(stages),
        skipped,
        surveys,
        sum(len(source.held) for source in sources.values()),
        len(lengths),
        sum(lengths) / len(lengths),
        max(lengths),
        cut,
        shown,
    )


def _captions(sources: Mapping[str, Source], tokenizer: Tokenizer, fit: Fit) -> tuple[list[int], int, str]:
    """Lengths of captions in tokens as they are read, how many were longer, and a pair in words."""
    lengths: list[int] = []
    cut, shown = 0, ""
    for source in sources.values():
        for record in islice(records_of(source.train, LOOKED_AT), LOOKED_AT):
            try:
                if not isinstance(record, Example):
                    continue
                caption = caption_of(record, seed=0)
                if not shown:
                    views = fit(opened(record, fit)[0])
            except InputError:
                continue  # the survey names it
            encoding = tokenizer.backend.encode(caption)
            lengths.append(len(encoding.ids))
            cut += bool(encoding.overflowing)
            if not shown:
                height, width = views.views[0].pixels.shape[1:]
                shown = (
                    f"{record.place}: {views.width} x {views.height} pixels, seen as {len(views.views)} of "
                    f"{width} x {height}; {' '.join(encoding.tokens)}"
                )
    if not shown:
        raise InputError("no record can be trained on", todo="look at the data: pictures with captions are needed")
    return lengths, cut, shown


def _staged(
    stage: OwnStage | ContrastStage | QFormerStage,
    groups: list[Group],
    parts: Mapping[str, nn.Module],
    sources: Mapping[str, Source],
    ranks: int,
) -> StagePlan:
    return stage_plan(
        stage,
        groups,
        parts,
        steps=steps_of(stage, drawn_from(stage, sources), ranks),
        records_a_step=stage.batch * ranks,
    )
