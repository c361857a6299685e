"""`isthmus lab`: re-measure a claim."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def lab(
    name: Annotated[str | None, typer.Argument(help="Which claim; without it, the labs are listed.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the plot and the figures.")] = Path("labs"),
    seeds: Annotated[int, typer.Option("--seeds", min=3, help="Repetitions, each with its own seed.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run one experiment for one claim: figures over several seeds, a verdict, a plot."""
    from isthmus.labs import LABS, run

    if name is None:
        for lab_ in LABS:
            sys.stdout.write(f"{lab_.name:12} {lab_.claim}\n")
        return
    result = run(name, out, seeds=seeds, quiet=quiet)
    if as_json:
        json.dump(result.to_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(result.to_text())
