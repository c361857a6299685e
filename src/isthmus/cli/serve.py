"""`isthmus serve`: a model behind the OpenAI API, and a page to talk to it."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import answering
from isthmus.errors import InputError, MissingPart

if TYPE_CHECKING:
    from isthmus.backends.backend import Backend
    from isthmus.contrastive.embedder import Embedder
    from isthmus.http.secret import Secret

EMBEDDER = "default/embedder"
SHORTEST = 8
"""Characters of a token."""


def serve(
    model: answering.ModelOption = answering.DEFAULT_MODEL,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="What requests call the model; several are all good. Default: its --model name."
        ),
    ] = None,
    embedder: Annotated[
        str, typer.Option(help="For /v1/embeddings; loaded when first asked for. An empty name: none.")
    ] = EMBEDDER,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="0 takes a free one. Default: 8643, where that is free.", show_default=False
        ),
    ] = None,
    exposed: Annotated[
        bool,
        typer.Option(
            "--exposed", help="Allow a --host that other machines reach; what is sent there is not encrypted."
        ),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST[:PORT]", help="Another name of this server, say that of a proxy before it."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="ISTHMUS_TOKEN",
            help="What clients send as their API key. Others of this machine see command lines: rather set "
            "ISTHMUS_TOKEN. Default: one is made and printed.",
            show_default=False,
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Every program of this machine may ask; not with --exposed.")
    ] = False,
    slots: Annotated[int, typer.Option(min=1, max=1024, help="Answers made at once.")] = 4,
    queue: Annotated[int, typer.Option(min=0, max=100_000, help="Requests that may wait; more get a 429.")] = 64,
    remembered: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="GB of memory for what was read in earlier answers, so that a next turn reads only what is new; of "
            "Isthmus' own models. Default: 2.",
            show_default=False,
        ),
    ] = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that answers under way have when it is stopped.")] = 30,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer, where the request does not say.")] = 2048,
    max_body: Annotated[float, typer.Option(min=0.01, help="MB of a request.")] = 64,
    max_pictures: Annotated[int, typer.Option(min=0, help="Pictures of a request.")] = 16,
    max_picture_pixels: Annotated[float, typer.Option(min=0.001, help="Millions of a picture's pixels.")] = 64,
    max_text: Annotated[int, typer.Option(min=1, help="Characters of a request's texts.")] = 1_000_000,
    open_metrics: Annotated[bool, typer.Option("--open-metrics", help="/metrics without the token.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    device: answering.DeviceOption = None,
    dtype: answering.DtypeOption = None,
) -> None:
    """Serve a model on this machine: an OpenAI-compatible API and a page. Stop with Ctrl-C."""
    try:
        from isthmus.http import secret as secrets
        from isthmus.server import run
        from isthmus.server.embedding import Embeddings
        from isthmus.server.settings import Limits, Settings
    except ModuleNotFoundError as error:
        todo = "install it with: pip install 'isthmus[serve]'"
        raise MissingPart(f"the server needs {error.name}", todo=todo) from None

    if no_token and token is not None:
        raise InputError("there are both a token and --no-token", todo="leave one out (ISTHMUS_TOKEN is a token too)")
    secret = None if no_token else secrets.Secret(_checked(token))
    names = tuple(name or [_plain(model)])
    limits = Limits(
        body=int(max_body * 2**20), pictures=max_pictures, pixels=int(max_picture_pixels * 1e6), text=max_text,
        max_tokens=max_tokens,
    )  # fmt: skip

    kept = None if remembered is None else int(remembered * 2**30)

    def load() -> "Backend":
        return answering.load_model(model, device, dtype, kept).backend

    def load_embedder() -> "Embedder":
        from isthmus.contrastive import load_embedder

        return load_embedder(embedder, device=device or "cpu")

    run.serve(
        load,
        names,
        settings=Settings(slots=slots, queue=queue, grace=grace, open_metrics=open_metrics, limits=limits),
        embeddings=Embeddings((_plain(embedder),), load_embedder) if embedder else None,
        secret=secret,
        host=host,
        port=port,
        exposed=exposed,
        allowed=frozenset(each.lower() for each in allow_host or () if each),
        begun=lambda address: _say_where(address, secret, own=token is not None, model=names[0]),
        ready=lambda: typer.echo(f"ready: {names[0]}", err=True),
        browser=not no_browser,
    )
    typer.echo("stopped", err=True)


def _checked(token: str | None) -> str | None:
    if token is not None and not (
        len(token) >= SHORTEST and token.isascii() and token.isprintable() and " " not in token
    ):
        raise InputError("the token cannot be used", why=f"it needs {SHORTEST} letters or digits at least")
    return token


def _plain(model: str) -> str:
    """A folder's own name: where it lies is nobody's affair."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def _say_where(address: str, secret: "Secret | None", *, own: bool, model: str) -> None:
    """A token of the user's own is not repeated."""
    token = "none" if secret is None else "$ISTHMUS_TOKEN" if own else secret.token
    asked = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "hello"}}]}}'
    lines = (
        f"page:   {address}" + ("" if secret is None else f"#token={'YOUR TOKEN' if own else secret.token}"),
        f"API:    {address}v1",
        f"python: export OPENAI_BASE_URL={address}v1 OPENAI_API_KEY={token}",
        f"shell:  curl {address}v1/chat/completions -H 'Content-Type: application/json'"
        + ("" if secret is None else f' -H "Authorization: Bearer {token}"')
        + f" -d {shlex.quote(asked)}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
