"""`isthmus`: the one entry point. Errors a user can mend become one line on stderr and their exit code."""

import os
import sys
import warnings
from typing import Annotated

import typer

from isthmus import __version__
from isthmus.cli import ask, chat, evaluate, export, inspect, lab, latency, models, photos, serve, train
from isthmus.errors import IsthmusError

app = typer.Typer(
    help="Join a frozen encoder to a frozen language model, measure it, and put it to work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("ask")(ask.ask)
app.command("chat")(chat.chat)
app.command("evaluate")(evaluate.evaluate)
app.command("inspect")(inspect.inspect)
app.add_typer(latency.app, name="latency")
app.add_typer(photos.app, name="photos")
app.command("serve")(serve.serve)
app.command("models")(models.models)
app.command("train")(train.train)
app.command("export")(export.export)
app.command("lab")(lab.lab)


def _say_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"isthmus {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Exit codes: 0 done, 1 the answer is "no", 2 bad input or a missing part, 130 interrupted."""
    # Pillow tells of damage in a picture that it reads all the same; what cannot be read is in the coverage report.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        app()
    except IsthmusError as error:
        sys.stderr.write(f"isthmus: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # whoever read our output has had enough (`| head`); that is no error, and Python must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
