"""`isthmus chat`: turns about pictures, on a terminal or from lines on stdin."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import answering
from isthmus.errors import InputError, IsthmusError, PictureError

if TYPE_CHECKING:
    from isthmus.backends.answerer import Chat

COMMANDS = "/picture PATH shows one with the next question, /new begins again, /exit ends"


def chat(
    pictures: Annotated[
        list[Path] | None, typer.Argument(metavar="PICTURE", help="Shown with the first question.")
    ] = None,
    model: answering.ModelOption = answering.DEFAULT_MODEL,
    max_tokens: answering.MaxTokensOption = 512,
    temperature: answering.TemperatureOption = 0.0,
    seed: answering.SeedOption = None,
    device: answering.DeviceOption = None,
    dtype: answering.DtypeOption = None,
) -> None:
    """Talk about pictures in turns.

    /picture PATH shows a picture with the next question, /new begins again without history, /exit or Ctrl-D ends.
    Ctrl-C stops the answer under way. Without a terminal each line on stdin is a turn.
    """
    shown = list(pictures or [])
    for path in shown:
        answering.check_picture(path)
    speaker = answering.load_model(model, device, dtype)
    answering.remark_who_spoke(speaker.name)
    person = sys.stdin.isatty()
    if person:
        answering.remark(COMMANDS)
        with suppress(ImportError):  # not everywhere; `input` edits lines and remembers them where it is
            import readline  # noqa: F401
    dialogue, failed = speaker.chat(max_tokens=max_tokens, temperature=temperature, seed=seed), False
    while (line := _line(person)) is not None and line != "/exit":
        try:
            if line == "/new":
                dialogue = speaker.chat(max_tokens=max_tokens, temperature=temperature, seed=seed)
                shown = []
            elif line.startswith("/"):
                shown.append(_picture(line))
            elif line and _answer(dialogue, shown, line):
                shown = []
        except IsthmusError as error:
            # The turn is lost and not the dialogue; its pictures stay for the next one, unless they are what failed.
            sys.stderr.write(f"isthmus: {error}\n")
            shown, failed = [] if isinstance(error, PictureError) else shown, True
    if failed and not person:
        raise typer.Exit(InputError.exit_code)


def _answer(dialogue: "Chat", pictures: list[Path], question: str) -> bool:
    """Whether anything was said, so that the turn is part of the dialogue."""
    told = answering.tell(dialogue.stream(pictures, question), answering.write)
    answering.write("\n")
    if told.finish is None:
        if not sys.stdin.isatty():
            raise typer.Exit(answering.INTERRUPTED)
        answering.remark("stopped")
    return bool(told.text or told.finish)


def _picture(line: str) -> Path:
    command, _, name = line.partition(" ")
    if command != "/picture" or not name.strip():
        raise InputError(f"{line} is no command", todo=COMMANDS)
    path = Path(name.strip()).expanduser()
    answering.check_picture(path)
    return path


def _line(person: bool) -> str | None:
    """The next line, None where there are no more. Ctrl-C at a person's prompt begins the line again."""
    while True:
        try:
            return input("> " if person else "").strip()
        except EOFError:
            if person:
                answering.write("\n")
            return None
        except KeyboardInterrupt:
            if not person:
                raise
            answering.write("\n")
