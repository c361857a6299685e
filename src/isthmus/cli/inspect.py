"""`isthmus inspect`: what a training sample looks like to a model."""

import sys
from typing import Annotated

import typer

from isthmus.cli import answering
from isthmus.errors import InputError


def inspect(
    sample: Annotated[
        str, typer.Argument(metavar="SAMPLE", help="A .json or .jsonl file; FILE:3 for the third of its records.")
    ],
    model: answering.ModelOption = answering.DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
    device: answering.DeviceOption = None,
    dtype: answering.DtypeOption = None,
) -> None:
    """Print each token of SAMPLE with its role, its label and its region of the picture.

    SAMPLE holds messages in the OpenAI chat shape, or LLaVA's image and conversations. Exit code 1: all labels are
    masked, so that a model would learn nothing from it.
    """
    from isthmus.records import read_record

    messages = read_record(sample)
    backend = answering.load_model(model, device, dtype).backend
    from isthmus.backends.native import NativeBackend
    from isthmus.vlm.inspect import inspect as look

    if not isinstance(backend, NativeBackend):
        raise InputError(f"{model} cannot be inspected", why="its tokens are laid out by transformers")
    found = look(backend.model, messages)
    sys.stdout.write((found.json() if as_json else found.table()) + "\n")
    if found.all_masked:
        raise typer.Exit(1)
