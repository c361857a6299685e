"""`isthmus train`: follow a recipe."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from isthmus.training.contrast_recipe import ContrastRecipe, QFormerRecipe
    from isthmus.training.dual_tuning import Contrasted
    from isthmus.training.recipe import EmbedderRecipe, VlmRecipe
    from isthmus.training.tune import Tuned
    from isthmus.training.tune_recipe import TuneRecipe


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's file, or the name of one that comes along: adapt.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the trained weights and their measurements.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="NAME=PATH: data for a recipe's entry; PATH alone where it has but one to fill."),
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE in place of the recipe's, as stages.0.batch=4.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="In place of the recipe's seed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in --out, exactly.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done: what learns, steps, memory, a sample.")
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="cpu, cuda, cuda:1. Default: cuda where there is one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Train a model by RECIPE and measure it on what it never saw.

    Ctrl-C keeps a checkpoint; --resume goes on from there as if nothing had been.
    """
    from isthmus.errors import InputError
    from isthmus.training.contrast_recipe import ContrastRecipe, QFormerRecipe
    from isthmus.training.recipe import EmbedderRecipe, VlmRecipe, read_recipe
    from isthmus.training.shipped import recipe_file

    changes = [*(change or ()), *_data_changes(data or ())]
    read = read_recipe(recipe_file(recipe), seed=seed, changes=changes)
    if isinstance(read, EmbedderRecipe | VlmRecipe):
        if dry_run:
            raise InputError("--dry-run is for recipes that make a model of your own")
        _default(read, _given(out), as_json=as_json, quiet=quiet)
    elif dry_run:
        _plan(read, device, as_json=as_json, quiet=quiet)
    elif isinstance(read, ContrastRecipe | QFormerRecipe):
        _contrast(read, _given(out), resume=resume, device=device, as_json=as_json, quiet=quiet)
    else:
        _tune(read, _given(out), resume=resume, device=device, as_json=as_json, quiet=quiet)


def _given(out: Path | None) -> Path:
    from isthmus.errors import InputError

    if out is None:
        raise InputError("nowhere to write to", todo="give --out FOLDER")
    return out


def _data_changes(data: "list[str] | tuple[str, ...]") -> list[str]:
    """As --set has them. A path may hold an equals sign: a name is what stands before the first one, if it is short."""
    changes = []
    for each in data:
        name, equals, path = each.partition("=")
        if not equals or "/" in name or "." in name:
            name, path = "pairs", each
        changes.append(f"data.{name}.path={path}")
    return changes


def _plan(
    read: "TuneRecipe | ContrastRecipe | QFormerRecipe", device: str | None, *, as_json: bool, quiet: bool
) -> None:
    import json

    from isthmus.training.pair_plan import PairPlan, plan_pairs
    from isthmus.training.plan import Plan, plan
    from isthmus.training.tune_recipe import TuneRecipe

    place = device or _device()
    found: Plan | PairPlan
    if isinstance(read, TuneRecipe):
        found = plan(read, device=place, quiet=quiet)
    else:
        found = plan_pairs(read, device=place, quiet=quiet)
    sys.stdout.write((json.dumps(found.as_json()) if as_json else str(found)) + "\n")


def _tune(read: "TuneRecipe", out: Path, *, resume: bool, device: str | None, as_json: bool, quiet: bool) -> None:
    from isthmus.training.tune import tune

    tuned = tune(read, out, resume=resume, device=device, quiet=quiet)
    lines = []
    for name, (before, after) in tuned.of_each.items():
        of = f" of {name}" if len(tuned.of_each) > 1 else ""
        lines.append(f"held-out loss{of}: {before:.3f} before, {after:.3f} after")
    judge = f"isthmus evaluate --before {read.start} --after {out} --data WHAT-NO-STAGE-SAW --budget 1%"
    _told(tuned, out, lines, f"use it with --model {out}\nwhat it learned and forgot: {judge}", as_json=as_json)


def _contrast(
    read: "ContrastRecipe | QFormerRecipe",
    out: Path,
    *,
    resume: bool,
    device: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from isthmus.training.contrast_recipe import ContrastRecipe
    from isthmus.training.dual_tuning import tune_dual
    from isthmus.training.held_pairs import in_a_line
    from isthmus.training.stage1_tuning import tune_stage1

    if isinstance(read, ContrastRecipe):
        made = tune_dual(read, out, resume=resume, device=device, quiet=quiet)
        use = f"use it with --model {out}"
    else:
        made = tune_stage1(read, out, resume=resume, device=device, quiet=quiet)
        use = f"go on with isthmus train blip2_stage2 --set start={out}"
        use = use if read.language_model else "name a language_model in the recipe to go on with stage 2"
    lines = [
        f"{when}: held-out loss {loss:.3f}; {in_a_line(figures)}"
        for when, loss, figures in (
            ("before", made.before_loss, made.before),
            ("after", made.after_loss, made.after),
        )
        if loss is not None and figures is not None
    ]
    _told(made, out, lines, use, as_json=as_json)


def _told(made: "Tuned | Contrasted", out: Path, lines: list[str], use: str, *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        sys.stdout.write(json.dumps(asdict(made)) + "\n")
    elif made.stopped is not None:
        sys.stdout.write(f"stopped in {made.stopped} and kept in {out}; go on with --resume\n")
    else:
        if made.bad_records:
            lines = [*lines, f"{made.bad_records} records could not be used: {out / 'bad_records.jsonl'}"]
        sys.stdout.write("\n".join([*lines, f"written to {out}; {use}"]) + "\n")
    if made.stopped is not None:
        raise typer.Exit(130)


def _default(read: "EmbedderRecipe | VlmRecipe", out: Path, *, as_json: bool, quiet: bool) -> None:
    import json

    from isthmus.training.recipe import EmbedderRecipe

    if isinstance(read, EmbedderRecipe):
        from isthmus.training.embedder import train_embedder

        told = {"on held-out concepts": train_embedder(read, out, quiet=quiet)}
    else:
        from isthmus.training.default_vlm import train_vlm

        told = {f"on held-out {name}": figures for name, figures in train_vlm(read, out, quiet=quiet).items()}
    if as_json:
        figures = {where: {name: vars(figure) for name, figure in each.items()} for where, each in told.items()}
        sys.stdout.write(json.dumps(figures["on held-out concepts"] if len(figures) == 1 else figures) + "\n")
        return
    for where, each in told.items():
        sys.stdout.write(f"{where}: " + ", ".join(f"{name} {figure}" for name, figure in each.items()) + "\n")
    sys.stdout.write(f"written to {out}; use it with --model {out}\n")


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
