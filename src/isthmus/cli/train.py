"""`isthmus train`: follow a recipe."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, e.g. recipes/embedder.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the trained weights and their measurements.")],
    seed: Annotated[int | None, typer.Option("--seed", help="In place of the recipe's seed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Train a default model by RECIPE and measure it on what it never saw."""
    import json

    from isthmus.training.recipe import EmbedderRecipe, read_recipe

    read = read_recipe(recipe, seed=seed)
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
