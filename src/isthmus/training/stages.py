"""Stage after stage through the loop: what all recipes for a model of one's own go through, whatever they make."""

import hashlib
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from accelerate import PartialState
from torch import nn

from isthmus.data.example import Example, Examples, Stream
from isthmus.data.mixture import Mixture
from isthmus.data.open import open_data
from isthmus.data.report import Report
from isthmus.errors import InputError
from isthmus.machine import machine
from isthmus.training.held_out import split
from isthmus.training.loop import Batches, Ended, LoopSettings, Task, train
from isthmus.training.own_recipe import DataEntry, OwnRecipe, OwnStage
from isthmus.training.sealed import require_unchanged, sealed
from isthmus.training.tracking import require_tracker

AnyOwn = TypeVar("AnyOwn", bound=OwnRecipe)


@dataclass(frozen=True)
class Source:
    """One entry of a recipe's data, opened and parted. `held` is empty of a stream."""

    name: str
    train: Examples | Stream
    held: Sequence[Example]


class Workpiece(Protocol):
    """What is made, while it is made."""

    def task(self, stage: Any) -> Task[Any]:
        """Freezes and thaws as the stage says."""

    def batches(self, stage: Any, mixture: Mixture) -> Batches[Any]: ...

    def parts(self) -> Mapping[str, nn.Module]:
        """All its weights, each in one part."""

    def judged(self, sources: Collection[str]) -> Mapping[str, float]:
        """Figures of what is held out of these, on all ranks alike; a lower "loss" is better. Asked only where
        something is."""


@dataclass(frozen=True)
class Followed:
    """`seals`: of the last stage; `trained`: names of all parameters that learned in any, each "part.name"; `stopped`:
    the name of the stage that a signal ended, None where all is done."""

    ended: dict[str, Ended]
    seals: dict[str, str]
    trained: frozenset[str]
    bad_records: int
    stopped: str | None


def follow(
    recipe: OwnRecipe,
    out: Path,
    piece: Workpiece,
    sources: Mapping[str, Source],
    *,
    resume: bool,
    quiet: bool,
) -> Followed:
    """Trains `piece` in the recipe's stages, each judged by what is held out of its own data; where these are streams,
    of which nothing is, by all that is. Raises as `loop.train`, CorruptPart where something frozen changed."""
    state = PartialState()
    report = Report(out / "bad_records.jsonl" if state.is_main_process else None)
    held = {name for name, source in sources.items() if source.held}
    ended: dict[str, Ended] = {}
    seals: dict[str, str] = {}
    trained: set[str] = set()
    stopped = None
    for at, stage in enumerate(recipe.stages):
        torch.manual_seed(recipe.seed + at)  # of fresh adapters, on all ranks alike
        task = piece.task(stage)
        seals = sealed(piece.parts())
        trained |= {
            f"{part}.{name}"
            for part, module in piece.parts().items()
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        drawn = drawn_from(stage, sources)
        mixture = mixture_of(
            stage,
            drawn,
            seed=recipe.seed + at,
            rank=state.process_index,
            world=state.num_processes,
            report=report,
        )
        judges = held & drawn.keys() or held
        folder = out / "stages" / stage.name
        ended[stage.name] = train(
            task,
            piece.batches(stage, mixture),
            settings_of(stage, recipe, steps_of(stage, drawn, state.num_processes), judged=bool(judges)),
            folder,
            seed=recipe.seed + at,
            evaluate=partial(piece.judged, judges) if judges else None,
            resume=resume and folder.exists(),
            quiet=quiet,
        )
        require_unchanged(seals, piece.parts())
        if ended[stage.name].why == "stopped":
            stopped = stage.name
            break
    return Followed(ended, seals, frozenset(trained), report.total, stopped)


def begin(recipe: AnyOwn, out: Path, *, resume: bool, quiet: bool) -> AnyOwn:
    """Notes the recipe in `out`, says which stages are skipped, and returns what is left of it (`OwnRecipe.given`).

    Raises InputError where another one was begun there, or one is and `resume` is not, or no data are given;
    MissingPart where its tracker is not installed.
    """
    require_tracker(recipe.track)
    given = recipe.given()
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
        if not quiet:
            for name, why in recipe.skipped().items():
                sys.stderr.write(f"isthmus: stage {name} is skipped: {why}\n")
    return given


def open_sources(recipe: OwnRecipe) -> dict[str, Source]:
    """The recipe's data, each parted into what is trained on and what is held out. Raises as `open_data`."""
    return {name: _opened(name, entry, recipe) for name, entry in recipe.data.items()}


def _opened(name: str, entry: DataEntry, recipe: OwnRecipe) -> Source:
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


def drawn_from(stage: OwnStage, sources: Mapping[str, Source]) -> dict[str, Source]:
    return {name: each for name, each in sources.items() if stage.data is None or name in stage.data}


def mixture_of(
    stage: OwnStage,
    drawn: Mapping[str, Source],
    *,
    seed: int,
    rank: int = 0,
    world: int = 1,
    report: Report | None = None,
) -> Mixture:
    """Of what a stage draws from, in its shares; the rest as Mixture has it."""
    weights = None if stage.data is None else [stage.data[name] for name in drawn]
    train_on = [source.train for source in drawn.values()]
    return Mixture(train_on, weights, seed=seed, rank=rank, world=world, report=report)


def spread(held: Sequence[Example], most: int) -> Sequence[Example]:
    """All; of more than `most`, as many evenly spread."""
    return held[:: max(1, -(-len(held) // most))]


def steps_of(stage: OwnStage, sources: Mapping[str, Source], ranks: int) -> int:
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


def settings_of(stage: OwnStage, recipe: OwnRecipe, steps: int, *, judged: bool) -> LoopSettings:
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
        track=recipe.track,
    )


def lineage(recipe: OwnRecipe, sources: Mapping[str, Source], seals: Mapping[str, str]) -> dict[str, Any]:
    """Where what was made comes from, as JSON."""
    return {
        "recipe": asdict(recipe),
        "data": {name: _fingerprint(source) for name, source in sources.items()},
        "seal": dict(seals),
        "machine": {**machine(), "date": date.today().isoformat()},
    }


def _fingerprint(source: Source) -> dict[str, object]:
    """What a source was: how many records on each side, and a hash over the places of those held out."""
    size = None if isinstance(source.train, Stream) else len(source.train)
    places = "\n".join(example.place for example in source.held)
    return {"trained": size, "held out": len(source.held), "held out are": hashlib.sha256(places.encode()).hexdigest()}


def own_device() -> torch.device:
    """This rank's."""
    return torch.device(PartialState().device) if torch.cuda.is_available() else torch.device("cpu")
