"""A Q-Former of one's own from a recipe, BLIP-2's first stage: judged by searching pictures that no stage saw."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import nn

from isthmus.checkpoints import Checkpoint, resolve
from isthmus.connectors.objectives import Stage1
from isthmus.connectors.qformer_checkpoint import load_qformer, qformer_from_bert
from isthmus.connectors.stage1_checkpoint import load_stage1, start_word_head
from isthmus.contrastive.tokenizer import Tokenizer, load_tokenizer
from isthmus.data.mixture import Mixture
from isthmus.errors import InputError
from isthmus.training.augment import vary
from isthmus.training.contrast_recipe import QFormerRecipe, QFormerStage
from isthmus.training.contrasting import ranks
from isthmus.training.dual_tuning import Contrasted
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.held_pairs import HeldPairs, held_pairs, told
from isthmus.training.pairs import PairBatches
from isthmus.training.stage1 import Reading, Stage1Task, read_held
from isthmus.training.stages import begin, follow, lineage, open_sources, own_device
from isthmus.vision.encoder import load_encoder
from isthmus.vision.features import Encoder
from isthmus.vlm.qformer_folder import MODEL_TYPE, read_qformer, save_qformer

DEC = "[DEC]"
"""BLIP-2's word that captions to be generated begin with."""


def tune_stage1(
    recipe: QFormerRecipe,
    out: Path,
    *,
    resume: bool = False,
    device: str | torch.device | None = None,
    quiet: bool = False,
) -> Contrasted:
    """Follows the recipe and writes the Q-Former to `out`; with a language model, `load_vlm` reads that folder, and
    stage 2 begins as it.

    Raises as `load_encoder`, `begun`, `open_data` and `loop.train`; InputError where `out` holds a model or a training
    of another recipe; CorruptPart where something frozen changed.
    """
    if recipe.language_model is not None:
        resolve(recipe.language_model)  # that it is here is known before, not after the training
    skipped = tuple(recipe.skipped())
    recipe = begin(recipe, out, resume=resume, quiet=quiet)
    sources = open_sources(recipe)
    place = device or own_device()
    encoder = load_encoder(recipe.encoder, device=place)
    stage1, tokenizer = begun(recipe, encoder)
    held = held_pairs(sources, encoder.fit, seed=recipe.seed)
    piece = Stage1Piece(recipe, encoder, Reading(stage1.to(place), tokenizer, seed=recipe.seed), held)
    before_loss, before = piece.figures() if len(held) else (None, None)
    done = follow(recipe, out, piece, sources, resume=resume, quiet=quiet)
    if done.stopped is not None:
        return Contrasted(before, None, before_loss, None, done.ended, done.bad_records, done.stopped, skipped)
    after_loss, after = piece.figures() if len(held) else (None, None)
    if PartialState().is_main_process:
        torch.manual_seed(recipe.seed)  # of the fresh map
        measured = {
            "retrieval": {"before": before, "after": after, "pictures": len(held), "captions": len(held.captions)},
            "held-out loss": {"before": before_loss, "after": after_loss, "pairs": len(held)},
        }
        about = {
            "start": {"name": recipe.start, "fingerprint": resolve(recipe.start).fingerprint},
            "lineage": lineage(recipe, sources, done.seals),
            "measured": measured,
        }
        save_qformer(stage1, tokenizer, out, encoder=encoder, language_model=recipe.language_model, about=about)
    return Contrasted(before, after, before_loss, after_loss, done.ended, done.bad_records, None, skipped)


def begun(recipe: QFormerRecipe, encoder: Encoder) -> tuple[Stage1, Tokenizer]:
    """What the recipe starts from, on the CPU in float32, and the tokenizer of its captions. What is fresh is drawn by
    the recipe's seed. Raises InputError where it has no text side, or reads pictures of another width."""
    torch.manual_seed(recipe.seed)
    checkpoint = resolve(recipe.start)
    kind = checkpoint.config.get("model_type")
    match kind:
        case str() if kind == MODEL_TYPE:
            stage1, tokenizer = read_qformer(checkpoint)
        case "blip-2" | "instructblip":
            stage1, tokenizer = _of_blip(checkpoint, recipe)
        case _:
            stage1, tokenizer = _of_bert(checkpoint, recipe, encoder)
    config = stage1.qformer.config
    if config.width_in != encoder.width:
        raise InputError(
            f"the Q-Former of {recipe.start} reads pictures that are {config.width_in} wide",
            why=f"{recipe.encoder} makes them {encoder.width} wide",
            todo="give the encoder it was made for",
        )
    if tokenizer.backend.get_vocab_size() > config.vocabulary:
        raise InputError(
            f"the tokenizer of {recipe.start} knows more words than its Q-Former",
            why=f"{tokenizer.backend.get_vocab_size()}, not {config.vocabulary}",
        )
    tokenizer.backend.enable_truncation(min(recipe.caption_tokens, config.max_text))
    return stage1, tokenizer


def _of_bert(checkpoint: Checkpoint, recipe: QFormerRecipe, encoder: Encoder) -> tuple[Stage1, Tokenizer]:
    made = qformer_from_bert(
        checkpoint,
        width_in=encoder.width,
        width_out=1,
        queries=recipe.queries,
        layers=recipe.layers,
        dropout=recipe.dropout,
    )
    stage1 = Stage1(made.qformer, start_token=made.config.vocabulary - 1)
    if any(key.endswith("cls.predictions.bias") for key in checkpoint.keys()):  # noqa: SIM118  a method
        start_word_head(stage1.itg_head, checkpoint)
    padding = checkpoint.config.get("pad_token_id")
    return stage1, load_tokenizer(checkpoint, max_tokens=made.config.max_text, padding=padding)


def _of_blip(checkpoint: Checkpoint, recipe: QFormerRecipe) -> tuple[Stage1, Tokenizer]:
    made = load_qformer(checkpoint, width_out=1, dropout=recipe.dropout)
    config = made.config
    if not config.vocabulary:
        raise InputError(
            f"the Q-Former of {checkpoint.name} reads no text",
            why="a BLIP-2 has lost its text side after the first stage",
            todo="start from a BLIP-2 for retrieval, an InstructBLIP, or a BERT",
        )
    inside = checkpoint.folder / "qformer_tokenizer"
    place = Checkpoint(checkpoint.name, inside, checkpoint.origin) if inside.is_dir() else checkpoint
    tokenizer = load_tokenizer(place, max_tokens=config.max_text)
    named = tokenizer.backend.token_to_id(DEC)
    token = config.vocabulary - 1 if named is None else int(named)
    if any(key.endswith("itm_head.weight") for key in checkpoint.keys()):  # noqa: SIM118  a method
        return load_stage1(checkpoint, made.qformer, start_token=token), tokenizer
    return Stage1(made.qformer, start_token=token), tokenizer


class Stage1Piece:
    """A Workpiece."""

    def __init__(self, recipe: QFormerRecipe, encoder: Encoder, module: Reading, held: HeldPairs) -> None:
        """Raises InputError where what is held out has no loss."""
        self.module, self._encoder = module, encoder
        self._recipe, self._held = recipe, held
        self._cached = FeatureCache.open(None, encoder).encode if recipe.cache else None
        different = len({held.captions[at] for at in held.first})
        if len(held) and (different < 2 or len(held) < ranks()):
            raise InputError(
                f"what is held out cannot be told apart: {len(held)} pictures, {different} captions",
                todo="hold out more, or nothing (held_out: 0)",
            )

    def task(self, stage: QFormerStage) -> Stage1Task:
        return Stage1Task(self.module, stage.learns)

    def batches(self, stage: QFormerStage, mixture: Mixture) -> PairBatches:
        varied = None if stage.augmentation is None else vary(stage.augmentation)
        look = self._encoder.encode
        return PairBatches(mixture, stage.batch, self._encoder.fit, look=look, cached=self._cached, vary=varied)

    def parts(self) -> Mapping[str, nn.Module]:
        return {"encoder": self._encoder.net, "qformer": self.module.stage1}

    def judged(self, _: Collection[str] = ()) -> dict[str, float]:
        """Of all that is held out, whatever a stage draws from: pictures are searched among all others."""
        if not len(self._held):
            return {}
        losses, found = self._read(1)
        recall = {f"{way} {k}": each["value"] for way, of in told(found).items() for k, each in of.items()}
        return {**losses, **recall}

    def figures(self) -> tuple[float, dict[str, Any]]:
        losses, found = self._read(1000)
        return losses["loss"], told(found)

    def _read(self, resamples: int) -> Any:
        return read_held(
            self.module,
            self._held,
            self._encoder.encode,
            seed=self._recipe.seed,
            cached=self._cached,
            resamples=resamples,
        )
