"""A composed model of one's own from a recipe: stage after stage, judged on conversations that none of them saw."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch import nn

from isthmus.data.example import Example
from isthmus.data.instructions import instruct
from isthmus.data.mixture import Mixture
from isthmus.errors import InputError
from isthmus.progress import progress
from isthmus.training.ahead import Encode, opened
from isthmus.training.answering import AnsweringTask
from isthmus.training.arranged import require_arrangement
from isthmus.training.augment import vary
from isthmus.training.conversations import ConversationBatches, laid_out
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.loop import Ended
from isthmus.training.policy import parts_of
from isthmus.training.rehearsal import Rehearsal, Rehearse, remember_own
from isthmus.training.stages import Source, begin, follow, lineage, open_sources, own_device, spread
from isthmus.training.tune_recipe import TuneRecipe, TuneStage
from isthmus.vlm.adapters import AdapterShape, has_adapters
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.quantised import is_quantised
from isthmus.vlm.tuned import save_tuned

MOST_HELD = 200
"""Of each source, held-out conversations whose loss is taken; of more, as many evenly spread."""


@dataclass(frozen=True)
class Tuned:
    """`before` and `after`: loss per labelled token of the held-out conversations; None where none is held out.
    `of_each`: the same two by the name of the data. `stopped`: the name of the stage that a signal ended, None where
    all is done; `skipped`: those whose data are not given."""

    before: float | None
    after: float | None
    stages: dict[str, Ended]
    bad_records: int
    stopped: str | None
    of_each: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


def tune(
    recipe: TuneRecipe,
    out: Path,
    *,
    resume: bool = False,
    device: str | torch.device | None = None,
    quiet: bool = False,
) -> Tuned:
    """Follows the recipe and writes the trained model to `out`, where `load_vlm` finds it.

    Raises as `load_vlm`, `open_data` and `loop.train`; InputError where `out` holds a model or a training of another
    recipe; CorruptPart where something frozen changed.
    """
    skipped = tuple(recipe.skipped())
    recipe = begin(recipe, out, resume=resume, quiet=quiet)
    sources = open_sources(recipe)
    model = load_vlm(recipe.start, device=device or own_device(), quantize=recipe.quantize)
    if is_quantised(model.language_model) and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        raise InputError("a language model in four bits is not sharded here", todo="run without FSDP, each rank whole")
    require_arrangements(recipe, model)
    cached = FeatureCache.open(None, model.encoder).encode if recipe.cache else None
    judge = Judge(model, sources, cached or model.encode, seed=recipe.seed)
    before = judge()
    begun_with_adapters = has_adapters(model.language_model)
    piece = _Conversing(model, cached, judge, seed=recipe.seed)
    piece.remember(recipe.stages, quiet=quiet or not PartialState().is_main_process)
    done = follow(recipe, out, piece, sources, resume=resume, quiet=quiet)
    if done.stopped is not None:
        return Tuned(before.mean, None, done.ended, done.bad_records, done.stopped, skipped=skipped)
    after = judge()
    of_each = {name: (loss, after.of_each[name]) for name, loss in before.of_each.items()}
    if PartialState().is_main_process:
        measured = {
            "before": before.mean,
            "after": after.mean,
            "conversations": judge.count,
            "of each": {name: {"before": first, "after": last} for name, (first, last) in of_each.items()},
        }
        save_tuned(
            model,
            out,
            done.trained,
            start=recipe.start,
            adapters=None if begun_with_adapters else _adapters(recipe),
            about={"lineage": lineage(recipe, sources, done.seals), "measured": {"held-out loss": measured}},
        )
    return Tuned(before.mean, after.mean, done.ended, done.bad_records, None, of_each, skipped)


def require_arrangements(recipe: TuneRecipe, model: VisionLanguageModel) -> None:
    """Before anything is trained. Raises InputError as `require_arrangement` for any stage."""
    for stage in recipe.stages:
        require_arrangement(model, stage.arrange, stage.tokens, varied=stage.augmentation is not None)


class _Conversing:
    """A Workpiece."""

    def __init__(self, model: VisionLanguageModel, cached: Encode | None, judge: "Judge", *, seed: int) -> None:
        self._model, self._cached, self._judge, self._seed = model, cached, judge, seed
        self._remembered: dict[Rehearse, Rehearsal] = {}

    def remember(self, stages: Sequence[TuneStage], *, quiet: bool) -> None:
        """What the model finds likely as it is now: before the first stage, since later ones are held against that."""
        for each in {stage.rehearsal for stage in stages if stage.rehearsal is not None}:
            with progress("writing what is rehearsed", each.texts, "texts", quiet=quiet) as reporter:
                self._remembered[each] = remember_own(self._model, each, seed=self._seed, reporter=reporter)

    def task(self, stage: TuneStage) -> AnsweringTask:
        return AnsweringTask(
            self._model,
            stage.learns,
            activation_checkpointing=stage.activation_checkpointing,
            rehearsal=None if stage.rehearsal is None else self._remembered[stage.rehearsal],
        )

    def batches(self, stage: TuneStage, mixture: Mixture) -> ConversationBatches:
        varied = None if stage.augmentation is None else vary(stage.augmentation)
        return ConversationBatches(
            self._model,
            mixture,
            stage.batch,
            arrange=stage.arrange,
            tokens=stage.tokens,
            cached=self._cached,
            vary=varied,
        )

    def parts(self) -> dict[str, nn.Module]:
        return parts_of(self._model)

    def judged(self, sources: Collection[str]) -> dict[str, float]:
        loss = self._judge(sources).mean
        return {} if loss is None else {"loss": loss}


@dataclass(frozen=True)
class HeldLoss:
    """Summed over the labelled `tokens` of what is held out of each source."""

    sums: Mapping[str, float]
    tokens: Mapping[str, int]

    @property
    def mean(self) -> float | None:
        """Per labelled token of all; None where there is none."""
        tokens = sum(self.tokens.values())
        return sum(self.sums.values()) / tokens if tokens else None

    @property
    def of_each(self) -> dict[str, float]:
        """Per labelled token, of each source that has some."""
        return {name: self.sums[name] / tokens for name, tokens in self.tokens.items() if tokens}


class Judge:
    """The loss of a model's labelled tokens over what is held out, always the same conversations."""

    def __init__(
        self, model: VisionLanguageModel, sources: Mapping[str, Source], encode: Encode, *, seed: int, batch: int = 8
    ) -> None:
        self._held = {
            name: [instruct(example, seed=seed) for example in spread(source.held, MOST_HELD)]
            for name, source in sources.items()
        }
        self._model, self._encode, self._batch = model, encode, batch

    @property
    def count(self) -> int:
        return sum(map(len, self._held.values()))

    @torch.no_grad()
    def __call__(self, sources: Collection[str] | None = None) -> HeldLoss:
        """Of these sources, None for all. Conversations that cannot be used are left out, as in training."""
        training = self._model.training
        self._model.eval()
        found = {name: self._of(held) for name, held in self._held.items() if sources is None or name in sources}
        self._model.train(training)
        return HeldLoss({name: each[0] for name, each in found.items()}, {n: each[1] for n, each in found.items()})

    def _of(self, held: Sequence[Example]) -> tuple[float, int]:
        model = self._model
        total, tokens = 0.0, 0
        for start in range(0, len(held), self._batch):
            usable = []
            for example in held[start : start + self._batch]:
                try:
                    usable.append((example.messages, opened(example, model.encoder.fit)))
                except InputError:
                    continue  # counted when training meets its like; a figure of what can be shown
            samples, features, errors = laid_out(model, usable, self._encode)
            if errors:
                fitting = [each for at, each in enumerate(usable) if at not in errors]
                samples, features, _ = laid_out(model, fitting, self._encode)
            if samples:
                count = sum(sample.trained for sample in samples)
                total += float(model(samples, features).loss) * count
                tokens += count
        return total, tokens


def _adapters(recipe: TuneRecipe) -> AdapterShape | None:
    """Those of the first stage that has them stay through all that follow."""
    return next((stage.learns.lora.shape for stage in recipe.stages if stage.learns.lora is not None), None)
