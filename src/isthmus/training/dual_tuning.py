"""A dual encoder of one's own from a recipe: stage after stage, judged by searching pictures that none of them saw."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import nn

from isthmus.contrastive.dual_encoder import DualEncoder
from isthmus.contrastive.export import export_dual, require_exportable
from isthmus.contrastive.load import load_embedder
from isthmus.contrastive.tuned import save_tuned_dual
from isthmus.data.mixture import Mixture
from isthmus.errors import InputError
from isthmus.training.ahead import Encode
from isthmus.training.augment import vary
from isthmus.training.contrast_recipe import ContrastRecipe, ContrastStage
from isthmus.training.contrasting import Contrast, ContrastTask, searched
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.held_pairs import HeldPairs, held_pairs, told
from isthmus.training.loop import Ended
from isthmus.training.pairs import PairBatches
from isthmus.training.stages import begin, follow, lineage, open_sources, own_device

HUGGING_FACE = "huggingface"
"""The folder within that `transformers` loads."""


@dataclass(frozen=True)
class Contrasted:
    """`before` and `after`, None where nothing is held out: recall both ways with intervals, as `held_pairs.told` says
    it; `before_loss` and `after_loss`: of all held-out pairs as one batch, by the recipe's objective. `stopped`: the
    name of the stage that a signal ended, None where all is done; `skipped`: those whose data are not given."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None
    before_loss: float | None
    after_loss: float | None
    stages: dict[str, Ended]
    bad_records: int
    stopped: str | None
    skipped: tuple[str, ...] = ()


def tune_dual(
    recipe: ContrastRecipe,
    out: Path,
    *,
    resume: bool = False,
    device: str | torch.device | None = None,
    quiet: bool = False,
) -> Contrasted:
    """Follows the recipe and writes the trained model to `out`, where `load_embedder` finds it.

    Raises as `load_embedder`, `open_data` and `loop.train`; InputError where `start` is no dual encoder of two towers,
    or `out` holds a model or a training of another recipe; CorruptPart where something frozen changed.
    """
    if recipe.export:
        require_exportable(recipe.start)
    skipped = tuple(recipe.skipped())
    recipe = begin(recipe, out, resume=resume, quiet=quiet)
    sources = open_sources(recipe)
    dual = load_dual(recipe.start, device or own_device())
    held = held_pairs(sources, dual.fit, seed=recipe.seed)
    piece = DualPiece(recipe, dual, held)
    before_loss, before = piece.figures() if len(held) else (None, None)
    done = follow(recipe, out, piece, sources, resume=resume, quiet=quiet)
    if done.stopped is not None:
        return Contrasted(before, None, before_loss, None, done.ended, done.bad_records, done.stopped, skipped)
    piece.module.settle()
    after_loss, after = piece.figures() if len(held) else (None, None)
    if PartialState().is_main_process:
        measured = {
            "retrieval": {"before": before, "after": after, "pictures": len(held), "captions": len(held.captions)}
        }
        losses = {"held-out loss": {"before": before_loss, "after": after_loss, "pairs": len(held)}}
        about = {"lineage": lineage(recipe, sources, done.seals), "measured": measured | losses}
        save_tuned_dual(dual, out, done.trained, start=recipe.start, about=about)
        if recipe.export:
            export_dual(dual, recipe.start, out / HUGGING_FACE)
    return Contrasted(before, after, before_loss, after_loss, done.ended, done.bad_records, None, skipped)


def load_dual(name: str, device: str | torch.device) -> DualEncoder:
    """In float32, which is what learns. Raises InputError where it is no dual encoder of two towers."""
    dual = load_embedder(name, device=device)
    if not isinstance(dual, DualEncoder):
        raise InputError(
            f"{name} is no dual encoder of two towers",
            why="it is made of heads on two other models",
            todo="give a CLIP or SigLIP by Hugging Face id or folder; recipe embedder makes such heads",
        )
    return dual


class DualPiece:
    """A Workpiece. The features of an image tower that never learns are kept."""

    def __init__(self, recipe: ContrastRecipe, dual: DualEncoder, held: HeldPairs) -> None:
        if recipe.loss == "sigmoid" and dual.bias is None and recipe.stages[0].learns.temperature is None:
            raise InputError(
                f"{dual.name} has no bias, for it was trained with a softmax",
                todo="let the temperature learn, or take loss: softmax",
            )
        self.module = Contrast(dual, recipe.loss)
        self._recipe, self._dual, self._held = recipe, dual, held
        frozen = all(stage.learns.image_tower is None for stage in recipe.stages)
        self._cached: Encode | None = None
        if recipe.cache and frozen:
            self._cached = FeatureCache.open(None, dual.pictures).encode

    def task(self, stage: ContrastStage) -> ContrastTask:
        return ContrastTask(self.module, stage.learns)

    def batches(self, stage: ContrastStage, mixture: Mixture) -> PairBatches:
        varied = None if stage.augmentation is None else vary(stage.augmentation)
        return PairBatches(mixture, stage.batch, self._dual.fit, cached=self._cached, vary=varied)

    def parts(self) -> Mapping[str, nn.Module]:
        return self.module.parts()

    def judged(self, _: Collection[str] = ()) -> dict[str, float]:
        """Of all that is held out, whatever a stage draws from: pictures are searched among all others."""
        if not len(self._held):
            return {}
        loss, found = searched(self.module, self._held, seed=self._recipe.seed, cached=self._cached, resamples=1)
        recall = {f"{way} {k}": each["value"] for way, of in told(found).items() for k, each in of.items()}
        return {"loss": loss, **recall}

    def figures(self) -> tuple[float, dict[str, Any]]:
        loss, found = searched(self.module, self._held, seed=self._recipe.seed, cached=self._cached)
        return loss, told(found)
