"""`isthmus ask`: a question about pictures, answered while one watches."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli import answering
from isthmus.errors import InputError, PictureError

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif"))


def ask(
    words: Annotated[
        list[str], typer.Argument(metavar="[PICTURE]... QUESTION", help="Pictures, then the question in quotes.")
    ],
    model: answering.ModelOption = answering.DEFAULT_MODEL,
    max_tokens: answering.MaxTokensOption = 512,
    temperature: answering.TemperatureOption = 0.0,
    seed: answering.SeedOption = None,
    stream: Annotated[bool, typer.Option("--stream/--no-stream", help="Words as they come, or all at the end.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The answer and what it took, as JSON on stdout.")] = False,
    device: answering.DeviceOption = None,
    dtype: answering.DtypeOption = None,
) -> None:
    """Answer QUESTION about the pictures; without a picture the language model answers alone."""
    *pictures, question = words
    _check_question(question)
    paths = [Path(each) for each in pictures]
    for path in paths:
        _check_picture(path)
    speaker = answering.load_model(model, device, dtype)
    streamed = stream and not as_json
    told = answering.tell(
        speaker.stream(paths, question, max_tokens=max_tokens, temperature=temperature, seed=seed),
        answering.write if streamed else lambda _: None,
    )
    if as_json:
        _print_json(told, speaker.name)
    else:
        answering.write("\n" if streamed else f"{told.text}\n")
        answering.remark_who_spoke(speaker.name)
    if told.finish is None:
        raise typer.Exit(answering.INTERRUPTED)


def _check_question(question: str) -> None:
    order = "pictures first, then the question in quotes"
    if not question.strip():
        raise InputError("the question is empty", todo=order)
    named = Path(question).suffix.lower() in SUFFIXES and not any(c.isspace() for c in question)
    if named or _is_file(question):
        raise InputError(f"the question is missing: {question} is a file's name", todo=order)


def _check_picture(path: Path) -> None:
    try:
        answering.check_picture(path)
    except PictureError as error:
        if error.reason != "missing":
            raise
        # perhaps a word of the question
        todo = "check the path, and put the question in quotes"
        raise PictureError(error.reason, error.what, todo=todo) from None


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a question longer than a file's name may be
        return False


def _print_json(told: answering.Told, model: str) -> None:
    value = {
        "answer": told.text,
        "model": model,
        "finish": told.finish.reason if told.finish else "cancelled",
        "usage": asdict(told.finish.usage) if told.finish else None,
        "seconds_to_first": told.seconds_to_first,
        "seconds": told.seconds,
    }
    json.dump(value, sys.stdout)
    sys.stdout.write("\n")
