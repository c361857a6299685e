"""What the commands that ask a model share: options, loading with a word on stderr, telling an answer as it comes.

Nothing heavy is imported before a command needs it.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from isthmus.backends.answerer import Answerer
    from isthmus.backends.backend import Finish, Stream

DEFAULT_MODEL = "default/vlm"
LARGER = "llava-hf/llava-1.5-7b-hf"
INTERRUPTED = 130
"""The exit code of Ctrl-C."""

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        help="A default/ name, a Hugging Face id or a folder; transformers:NAME for any other model of transformers; "
        "openai:MODEL@http://host:port/v1 for one at a server; llama.cpp:default/smollm2 or FILE.gguf for llama.cpp.",
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1. Default: cuda where there is one.")
]
DtypeOption = Annotated[
    str | None, typer.Option("--dtype", help="float32, bfloat16 or float16. Default: as the weights are stored.")
]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", min=1, help="Length of an answer at most.")]
TemperatureOption = Annotated[
    float, typer.Option("--temperature", min=0.0, help="0: the likeliest words; above it, words are drawn.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of the draws: the same seed, the same answer.")]


@dataclass(frozen=True)
class Told:
    """An answer, or what there is of one. `finish` is None where Ctrl-C broke it off."""

    text: str = ""
    finish: "Finish | None" = None
    seconds_to_first: float | None = None
    seconds: float = 0.0


def load_model(name: str, device: str | None, dtype: str | None, remembered: int | None = None) -> "Answerer":
    """The model, with a word on a terminal's stderr while it loads. Raises as `isthmus.load`."""
    remark(f"loading {name}")
    from isthmus import load
    from isthmus.backends.load import needs_torch
    from isthmus.progress import no_foreign_bars

    with no_foreign_bars() if needs_torch(name) else nullcontext():  # bars of transformers, which it imports
        return load(name, device=device, dtype=dtype, remembered=remembered)


def check_picture(path: Path) -> None:
    """Before a model is loaded for nothing: raises PictureError unless the file can be shown."""
    from isthmus.images.open import open_picture

    open_picture(path, at_least=1)


def tell(stream: "Stream", write: Callable[[str], None]) -> Told:
    """Reads an answer, every piece handed to `write` as it comes. Ctrl-C ends the answer and nothing else."""
    started = time.perf_counter()
    told = Told()
    try:
        with _ctrl_c() as came:
            for delta in stream:
                if told.seconds_to_first is None:
                    told = replace(told, seconds_to_first=time.perf_counter() - started)
                told = replace(told, text=told.text + delta.text, finish=delta.finish)
                if delta.text:
                    write(delta.text)
                if came():
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        told = replace(told, finish=None)
    finally:
        stream.close()
    return replace(told, seconds=time.perf_counter() - started)


@contextmanager
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C came. It is raised as ever, but Python drops what is raised while an object is finalised, and then
    the answer would go on."""
    times = []

    def noticed(number: int, _frame: object) -> None:
        times.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # somebody else's, or ignored
        yield lambda: False
        return
    signal.signal(signal.SIGINT, noticed)
    try:
        yield lambda: bool(times)
    finally:
        signal.signal(signal.SIGINT, before)


def write(text: str) -> None:
    """To stdout at once. On a terminal, control characters that a model may write are shown and not obeyed.

    Raises typer.Exit where nobody reads any more."""
    if sys.stdout.isatty():
        text = "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has had enough (`| head`). Python flushes once more at exit: it gets somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def remark(text: str) -> None:
    """A dim line on stderr where a person reads it; elsewhere nothing."""
    if sys.stderr.isatty():
        typer.secho(text, err=True, dim=True)


def remark_who_spoke(name: str) -> None:
    small = f" (small; a larger one: --model {LARGER})" if name.startswith("default/") else ""
    remark(f"model: {name}{small}")
