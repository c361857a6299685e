"""`isthmus export`: what was trained, as a folder on its own."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

DTYPES = ("float32", "bfloat16", "float16")


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder that isthmus train wrote.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    adapters: Annotated[
        bool, typer.Option("--adapters", help="The LoRA alone, as peft reads it, instead of the whole model.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="float32, bfloat16 or float16. Default: as what it began as.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
) -> None:
    """Write a model that was trained further as a folder on its own: adapters merged, in its family's own layout.

    Exit codes: 0 done, 2 it cannot be exported, or bad input. A folder is written whole or not at all.
    """
    from isthmus.errors import InputError

    if dtype is not None and (adapters or dtype not in DTYPES):
        what = "adapters are written in float32" if adapters else f"there is no dtype {dtype!r} to use"
        raise InputError(what, todo="leave out --dtype" if adapters else f"dtypes are {', '.join(DTYPES)}")
    import torch

    from isthmus.vlm.standalone import export_adapters, export_model

    if adapters:
        made = export_adapters(model, out)
    else:
        made = export_model(model, out, dtype=None if dtype is None else getattr(torch, dtype))
    if as_json:
        sys.stdout.write(json.dumps(vars(made)) + "\n")
        return
    lines = [f"written to {made.folder} in the layout of {made.layout}; {' and '.join(made.read_by)} read it"]
    sys.stdout.write("\n".join([*lines, *made.notes]) + "\n")
