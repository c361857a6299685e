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
    """Train the heads of the default embedder by RECIPE and measure them on concepts it never saw."""
    import json

    from isthmus.training.embedder import train_embedder
    from isthmus.training.recipe import read_recipe

    figures = train_embedder(read_recipe(recipe, seed=seed), out, quiet=quiet)
    if as_json:
        sys.stdout.write(json.dumps({name: vars(figure) for name, figure in figures.items()}) + "\n")
    else:
        sys.stdout.write("on held-out concepts: " + ", ".join(f"{name} {f}" for name, f in figures.items()) + "\n")
        sys.stdout.write(f"written to {out}; use it with --model {out}\n")
