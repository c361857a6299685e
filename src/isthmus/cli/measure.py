"""`isthmus latency MODEL`: the ledger of the time to the first token, measured."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import answering
from isthmus.errors import InputError

if TYPE_CHECKING:
    from isthmus.backends.backend import Backend
    from isthmus.latency.floors import Here
    from isthmus.latency.ledger import Ledger
    from isthmus.latency.ledger_text import Setting
    from isthmus.latency.rounds import Together

CACHES = ("off", "hit")


PictureOption = Annotated[
    str, typer.Option("--picture", metavar="WxH|PATH", help="Made pictures of a size, a file's, or none.")
]
TextOption = Annotated[int, typer.Option("--text-tokens", min=1, help="Of the question, template not counted.")]
RoundsOption = Annotated[int, typer.Option("--rounds", min=3, help="Of three answers each: watched, and twice not.")]
CacheOption = Annotated[
    str, typer.Option("--cache", help="off: new pictures, nothing kept; hit: another question about the same picture.")
]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="Of torch. Default: torch's own choice.")]


WhatIfOption = Annotated[
    str,
    typer.Option(
        "--what-if",
        metavar="WORDS",
        help="text=200, picture=1024x1024, dtype=bf16, cache=prefix: measured too; others (tokens, sdpa …): predicted.",
    ),
]


def measure(
    model: Annotated[str, typer.Argument(help="As for `isthmus ask --model`.")] = answering.DEFAULT_MODEL,
    picture: PictureOption = "512x512",
    text_tokens: TextOption = 100,
    tokens: Annotated[int, typer.Option("--tokens", min=2, help="Length of each answer.")] = 8,
    rounds: RoundsOption = 15,
    cache: CacheOption = "off",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Also so many questions at once.")] = 1,
    what_if: WhatIfOption = "",
    threads: ThreadsOption = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also as a page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
    device: answering.DeviceOption = None,
    dtype: answering.DtypeOption = None,
) -> None:
    """Where the time to MODEL's first token goes: every part timed, and held against a total timed apart.

    Exit codes: 0 parts and total agree, or this machine varies too much to say; 1 they do not; 2 bad input.
    """
    if cache not in CACHES:
        raise InputError(f"there is no cache mode {cache!r}", todo=f"modes are {', '.join(CACHES)}")
    shown = _shown(picture)
    if html is not None and not html.absolute().parent.is_dir():
        raise InputError(f"{html} cannot be written", why="its folder is not there")
    backend = answering.load_model(model, device, dtype).backend
    from isthmus.latency.ledger_text import again_text, as_page, as_text, together_text
    from isthmus.latency.ledger_text import as_json as in_json

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    kept = cache == "hit"
    found = _ledger(backend, shown, text_tokens, tokens, rounds, kept=kept)
    together = _together(backend, shown, text_tokens, tokens, batch, kept=kept) if batch > 1 else None
    here = _here(model, backend, shown, found, kept=kept)
    again, after = None, None
    if what_if:
        if here is None:
            raise InputError(f"nothing is predicted for {model}", why="its arithmetic is not known")
        again = here.what_if(what_if)
        if again.runnable and text_tokens + again.more > 0:
            other = (
                backend
                if again.dtype == _dtype_name(backend)
                else answering.load_model(model, device, again.dtype).backend
            )
            size = shown if again.size == here.request.picture else again.size
            after = _ledger(other, size, text_tokens + again.more, tokens, rounds, kept=again.kept)
    asked = f"{'no' if shown is None else picture} picture, {text_tokens} text tokens"
    setting = _setting(model, asked, cache, {} if here is None else here.floors())
    if html is not None:
        html.write_text(as_page(found, setting), encoding="utf-8")
    if as_json:
        told = in_json(found, setting) | {"together": together and asdict(together)}
        if again is not None:
            told["what_if"] = {"words": what_if, "predicted": again.predicted, "after": after and asdict(after)}
        answering.write(json.dumps(told) + "\n")
    else:
        lines = [as_text(found, setting)]
        lines += [] if together is None else [together_text(together)]
        lines += [] if again is None else [again_text(what_if, again.predicted, found, after)]
        answering.write("\n".join(lines) + "\n")
    if "no" in (found.verdict("wall"), found.verdict("cpu")):
        raise typer.Exit(1)


def _shown(picture: str) -> "Path | tuple[int, int] | None":
    """A file, a size, or nothing. Raises InputError, PictureError."""
    from isthmus.latency.shots import check_size
    from isthmus.latency.whatif import parse_size

    if picture == "none":
        return None
    if Path(picture).is_file():
        answering.check_picture(Path(picture))
        return Path(picture)
    try:
        size = parse_size(picture)
    except InputError:
        todo = "give width x height such as 512x512, or a picture's path"
        raise InputError(f"{picture!r} is neither a picture's size nor a file", todo=todo) from None
    check_size(size)
    return size


def _ledger(
    backend: "Backend", shown: "Path | tuple[int, int] | None", text: int, tokens: int, rounds: int, *, kept: bool
) -> "Ledger":
    from isthmus.latency.ledger import ledger
    from isthmus.latency.rounds import measure as timed
    from isthmus.latency.shots import Shots, text_of
    from isthmus.latency.subjects import subject_of, tokenizer_of
    from isthmus.progress import progress

    shots = Shots(shown, text_of(tokenizer_of(backend)), text, same_picture=kept)
    with subject_of(backend) as subject, progress("latency", rounds + 2, "rounds") as bar:
        return ledger(timed(subject, shots, tokens=tokens, rounds=rounds, remember=kept, progress=bar))


def _together(
    backend: "Backend", shown: "Path | tuple[int, int] | None", text: int, tokens: int, count: int, *, kept: bool
) -> "Together":
    from isthmus.latency.rounds import ask_together
    from isthmus.latency.shots import Shots, text_of
    from isthmus.latency.subjects import subject_of, tokenizer_of

    shots = Shots(shown, text_of(tokenizer_of(backend)), text, same_picture=kept)
    with subject_of(backend) as subject:
        return ask_together(subject, [shots(-1 - at) for at in range(count)], tokens)


def _setting(model: str, asked: str, cache: str, floors: dict[str, float]) -> "Setting":
    import os

    import transformers

    from isthmus.latency.ledger_text import Setting
    from isthmus.machine import machine

    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    where = {**machine(), "load": load, "transformers": transformers.__version__}
    return Setting(model, asked, where, cache, floors)


def _here(
    name: str, backend: "Backend", shown: "Path | tuple[int, int] | None", found: "Ledger", *, kept: bool
) -> "Here | None":
    """None where the model runs elsewhere, or its arithmetic is not known, which is said."""
    from isthmus.latency.floors import here, picture_size
    from isthmus.latency.subjects import dtype_of

    dtype = dtype_of(backend)
    if dtype is None:
        return None
    try:
        return here(name, dtype, picture_size(shown), found, kept=kept)
    except InputError as error:
        answering.remark(f"without floors: {error}")
        return None


def _dtype_name(backend: "Backend") -> str:
    from isthmus.latency.subjects import dtype_of

    return str(dtype_of(backend)).removeprefix("torch.")
