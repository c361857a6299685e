"""What the commands share: their options, where the library is, the model, how Ctrl-C stops them."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.errors import InputError

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.contrastive.words import WordsFirst
    from isthmus.photos.cluster import Cluster
    from isthmus.photos.store import Library

DEFAULT_MODEL = "default/embedder"

LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", help="Folder of the library. Default: your user data folder.", show_default=False),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Embedder: a default/ name, a Hugging Face id or a folder. Default: the one the library was last indexed "
        f"with, else {DEFAULT_MODEL}.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads that read and decode. Default: one a processor.")
]
WorkersOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|ray",
        help="Threads that read and decode (default: one a processor), or ray: the Ray cluster that RAY_ADDRESS names.",
    ),
]
BatchOption = Annotated[int, typer.Option(min=1, help="Pictures through the model at once.")]


def library_folder(library: Path | None) -> Path:
    if library is not None:
        return library.absolute()
    from platformdirs import user_data_path

    return user_data_path("isthmus")


def last_model(library: "Library") -> str | None:
    models = library.models()
    return models[0].name if models else None


def embedder_named(name: str, *, indexing: bool = False) -> "Embedder":
    if Path(name).is_dir():
        name = str(Path(name).absolute())  # the library remembers it for searches from elsewhere
    import torch

    from isthmus.contrastive import load_embedder

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if not indexing or name == DEFAULT_MODEL:  # its small network is fast, and checked, in fp32
        return load_embedder(name, device=device)
    from isthmus.precision import fast_dtype

    return load_embedder(name, device=device, dtype=fast_dtype(device))


def searching_with(name: str) -> "Embedder | WordsFirst":
    """As `embedder_named`; where the model's texts do without torch, that is loaded when a picture comes."""
    from isthmus.contrastive.words import load_words_first

    return load_words_first(name, partial(embedder_named, name)) or embedder_named(name)


def workers_of(said: str | None, name: str, embedder: "Embedder", batch: int) -> "tuple[int | None, Cluster | None]":
    """Threads, or a cluster that loads the same model. Raises InputError, MissingPart."""
    if said is None:
        return None, None
    if said == "ray":
        from isthmus.photos.cluster import Cluster

        return None, Cluster(partial(embedder_named, name, indexing=True), embedder.fingerprint, batch)
    if not said.isascii() or not said.isdigit() or int(said) < 1:
        raise InputError(f"--workers {said} is no number of threads", todo="give 1 or more, or ray")
    return int(said), None


def hush_pillow() -> None:
    """What it remarks about odd files is said by the coverage report, for those that cannot be read."""
    warnings.filterwarnings("ignore", category=Warning, module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


class Stop:
    """The first Ctrl-C asks to stop in good order; the second stops at once (the library is whole either way)."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def asked(self) -> bool:
        return self.signal is not None

    def ask(self, number: int, _frame: object) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        typer.echo("stopping after this batch (once more: at once)", err=True)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)
