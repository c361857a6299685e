"""A model of one's own from a recipe: stage after stage through the loop, judged on what none of them saw."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import torch
from accelerate import PartialState

from isthmus.data.example import Example, Examples, Stream
from isthmus.data.instructions import instruct
from isthmus.data.mixture import Mixture
from isthmus.data.open import open_data
from isthmus.data.report import Report
from isthmus.errors import InputError
from isthmus.machine import machine
from isthmus.training.answering import AnsweringTask
from isthmus.training.augment import vary
from isthmus.training.conversations import ConversationBatches, Encode, laid_out, opened
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.held_out import split
from isthmus.training.loop import Ended, LoopSettings, train
from isthmus.training.policy import require_unchanged, sealed
from isthmus.training.tune_recipe import DataEntry, TuneRecipe, TuneStage
from isthmus.vlm.adapters import AdapterShape, has_adapters
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.tuned import save_tuned

MOST_HELD = 200
"""Held-out conversations whose loss is taken; of more, as many evenly spread."""


@dataclass(frozen=True)
class Source:
    """One entry of a recipe's data, opened and parted. `held` is empty of a stream."""

    name: str
    train: Examples | Stream
    held: Sequence[Example]


@dataclass(frozen=True)
class Tuned:
    """`before` and `after`: loss per labelled token of the held-out conversations; None where none is held out.
    `stopped`: the name of the stage that a signal ended, None where all is done."""

    before: float | None
    after: float | None
    stages: dict[str, Ended]
    bad_records: int
    stopped: str | None


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
    place = device or _device()
    _begin(recipe, out, resume=resume)
    sources = open_sources(recipe)
    model = load_vlm(recipe.start, device=place)
    cached = FeatureCache.open(None, model.encoder).encode if recipe.cache else None
    judge = Judge(model, sources, cached or model.encode, seed=recipe.seed)
    state = PartialState()
    before = judge()
    report = Report(out / "bad_records.jsonl" if state.is_main_process else None)
    ended: dict[str, Ended] = {}
    seals: dict[str, str] = {}
    trained: set[str] = set()
    begun_with_adapters = has_adapters(model.language_model)
    for at, stage in enumerate(recipe.stages):
        task = AnsweringTask(model, stage.learns, activation_checkpointing=stage.activation_checkpointing)
        seals = sealed(model)
        trained |= {name for name, p in model.named_parameters() if p.requires_grad}
        drawn = {name: each for name, each in sources.items() if stage.data is None or name in stage.data}
        mixture = Mixture(
            [source.train for source in drawn.values()],
            None if stage.data is None else [stage.data[name] for name in drawn],
            seed=recipe.seed + at,
            rank=state.process_index,
            world=state.num_processes,
            report=report,
        )
        steps = steps_of(stage, drawn, state.num_processes)
        batches = ConversationBatches(
            model,
            mixture,
            stage.batch,
            cached=cached,
            vary=None if stage.augmentation is None else vary(stage.augmentation),
        )
        ended[stage.name] = train(
            task,
            batches,
            settings_of(stage, recipe, steps, judged=bool(judge.count)),
            out / "stages" / stage.name,
            seed=recipe.seed + at,
            evaluate=(lambda: {"loss": judge() or 0.0}) if judge.count else None,
            resume=resume and (out / "stages" / stage.name).exists(),
            quiet=quiet,
        )
        require_unchanged(seals, model)
        if ended[stage.name].why == "stopped":
            return Tuned(before, None, ended, report.total, stage.name)
    after = judge()
    if state.is_main_process:
        lineage = {
            "recipe": asdict(recipe),
            "data": {name: _fingerprint(source) for name, source in sources.items()},
            "seal": seals,
            "machine": {**machine(), "date": date.today().isoformat()},
        }
        measured = {"held-out loss": {"before": before, "after": after, "conversations": judge.count}}
        save_tuned(
            model,
            out,
            trained,
            start=recipe.start,
            adapters=None if begun_with_adapters else _adapters(recipe),
            about={"lineage": lineage, "measured": measured},
        )
    return Tuned(before, after, ended, report.total, None)


class Judge:
    """The mean loss of a model's labelled tokens over what is held out, always the same conversations."""

    def __init__(
        self, model: VisionLanguageModel, sources: Mapping[str, Source], encode: Encode, *, seed: int, batch: int = 8
    ) -> None:
        every = [example for source in sources.values() for example in source.held]
        step = max(1, -(-len(every) // MOST_HELD))
        self._held = [instruct(example, seed=seed) for example in every[::step]]
        self._model, self._encode, self._batch = model, encode, batch

    @property
    def count(self) -> int:
        return len(self._held)

    @torch.no_grad()
    def __call__(self) -> float | None:
        """None where nothing is held out. Conversations that cannot be used are left out, as in training."""
        model, training = self._model, self._model.training
        model.eval()
        total, tokens = 0.0, 0
        for start in range(0, len(self._held), self._batch):
            usable = []
            for example in self._held[start : start + self._batch]:
                try:
                    usable.append((example.messages, opened(example, model)))
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
        model.train(training)
        return total / tokens if tokens else None


def open_sources(recipe: TuneRecipe) -> dict[str, Source]:
    """The recipe's data, each parted into what is trained on and what is held out. Raises as `open_data`."""
    return {name: _opened(name, entry, recipe) for name, entry in recipe.data.items()}


def _opened(name: str, entry: DataEntry, recipe: TuneRecipe) -> Source:
    if entry.path is None:
        raise InputError(f"the recipe leaves open where its data are: {name}", todo=f"give --data {name}=PATH")
    source = open_data(
        entry.path,
        form=entry.form,
        folder=Path(entry.folder) if entry.folder else None,
        annotations=Path(entry.annotations) if entry.annotations else None,
        split=entry.split,
        streaming=entry.streaming,
    )
    if isinstance(source, Stream) or not recipe.held_out:
        return Source(name, source, ())
    train_on, held = split(source, recipe.held_out, seed=recipe.seed)
    return Source(name, train_on, [held[at] for at in range(len(held))])


def steps_of(stage: TuneStage, sources: Mapping[str, Source], ranks: int) -> int:
    """Raises InputError for epochs of a stream."""
    if stage.steps is not None:
        return stage.steps
    assert stage.epochs is not None
    total = 0
    for name, source in sources.items():
        if isinstance(source.train, Stream):
            raise InputError(f"stage {stage.name}: nobody knows how long the stream {name} is", todo="give it steps")
        total += len(source.train)
    return max(1, round(stage.epochs * total / (stage.batch * stage.accumulate * ranks)))


def settings_of(stage: TuneStage, recipe: TuneRecipe, steps: int, *, judged: bool) -> LoopSettings:
    return LoopSettings(
        steps,
        accumulate=stage.accumulate,
        clip=stage.clip,
        warmup=stage.warmup,
        precision=recipe.precision,
        average=stage.average,
        checkpoint_every=stage.checkpoint_every or max(1, steps // 10),
        evaluate_every=max(1, steps // stage.evaluate) if judged else None,
        patience=stage.patience if judged else None,
    )


def _adapters(recipe: TuneRecipe) -> AdapterShape | None:
    """Those of the first stage that has them stay through all that follow."""
    return next((stage.learns.lora.shape for stage in recipe.stages if stage.learns.lora is not None), None)


def _begin(recipe: TuneRecipe, out: Path, *, resume: bool) -> None:
    """Notes the recipe in `out`. Raises InputError where another one was begun there, or one is and `resume` is not."""
    note = out / "recipe.json"
    told = json.dumps(asdict(recipe), sort_keys=True)
    if note.exists():
        if not resume:
            raise InputError(
                f"{out} holds a training already", todo="go on with it by --resume, or give another folder"
            )
        if json.loads(note.read_text(encoding="utf-8")) != json.loads(told):
            raise InputError(f"{out} was begun with another recipe", todo="resume with that one, or begin elsewhere")
    elif (out / "config.json").exists():
        raise InputError(f"{out} holds a model", todo="give another folder")
    if PartialState().is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        note.write_text(told, encoding="utf-8")


def _fingerprint(source: Source) -> dict[str, object]:
    """What a source was: how many records on each side, and a hash over the places of those held out."""
    size = None if isinstance(source.train, Stream) else len(source.train)
    places = "\n".join(example.place for example in source.held)
    return {"trained": size, "held out": len(source.held), "held out are": hashlib.sha256(places.encode()).hexdigest()}


def _device() -> torch.device:
    return torch.device(PartialState().device) if torch.cuda.is_available() else torch.device("cpu")
