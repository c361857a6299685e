"""`isthmus photos search`, `serve` and `mcp`: what finds photos."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.photos.parts import JsonOption, LibraryOption, ModelOption, last_model, library_folder, searching_with
from isthmus.cli.photos.say import print_json, say, shown
from isthmus.errors import InputError, MissingPart

if TYPE_CHECKING:
    from isthmus.photos.hits import Hit
    from isthmus.photos.lance import LanceVectors
    from isthmus.photos.search import Found


def search_command(
    query: Annotated[
        str, typer.Argument(metavar="[QUERY]", help='What to look for: "a cup of coffee", "a beach + sunset - people".')
    ] = "",
    top: Annotated[
        int | None, typer.Option(min=1, help="Number of results. Default: as many as QUERY says, else 10.")
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PICTURE", help="Look like this file; FILE@LEFT,TOP,RIGHT,BOTTOM: like that part of it, in pixels."
        ),
    ] = None,
    unlike: Annotated[list[str] | None, typer.Option(metavar="PICTURE", help="And unlike this one.")] = None,
    as_json: JsonOption = False,
    sheet: Annotated[Path | None, typer.Option(help="Write the results as one labelled picture (PNG).")] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    vectors: Annotated[
        str | None, typer.Option(metavar="URI", help="Where `photos publish` has put the vectors. Default: here.")
    ] = None,
) -> None:
    """Find photos by QUERY: what they show, when and where they were taken, with which camera, of what kind."""
    from isthmus.photos.blend import Like
    from isthmus.photos.pointed import Pointed
    from isthmus.photos.search import Searcher, check_query
    from isthmus.photos.store import FILE, Library

    pictures = [Like(Pointed.read(each)) for each in like or []]
    pictures += [Like(Pointed.read(each), -1.0) for each in unlike or []]
    check_query(query or ("a picture" if pictures else ""), top or 1)
    if sheet is not None and not sheet.absolute().parent.is_dir():
        raise InputError(f"there is no folder {sheet.absolute().parent}", todo="write the sheet elsewhere")
    folder = library_folder(library)
    if library is not None and not folder.is_dir():
        raise InputError(f"there is no folder {folder}", todo="check --library")
    found: Found | None = None
    if (folder / FILE).exists():
        with Library.read(folder) as store:
            if last := last_model(store):
                searcher = Searcher(store, None, _published(vectors))
                asked = searcher.read(query)
                # A query of conditions alone needs no model, and is answered before one would be loaded.
                searcher.embedder = searching_with(model or last) if asked.needs_model or pictures else None
                found = searcher.search(asked, top, like=pictures)
    hits = found.hits if found else ()
    if as_json:
        read_as = _read_as(found) if found else {}
        print_json({"query": query, "library": str(folder), **read_as, "results": [vars(hit) for hit in hits]})
    else:
        _print_hits(hits)
    if found:
        _say_found(found)
    if not hits:
        if not found or not found.photos:
            typer.echo(f"no photos are indexed in {folder} (index some with: isthmus photos index FOLDER)", err=True)
        raise typer.Exit(1)
    if sheet is not None:
        from isthmus.photos.sheet import write_sheet

        for note in write_sheet(hits, query, sheet):
            typer.echo(note, err=True)


def _published(uri: str | None) -> "LanceVectors | None":
    if uri is None:
        return None
    from isthmus.photos.lance import LanceVectors

    return LanceVectors(uri)


def mcp_command(library: LibraryOption = None, model: ModelOption = None) -> None:
    """Let a chat client search the photos: an MCP server over stdin and stdout, which the client starts."""
    from isthmus.photos.store import Library

    try:
        from isthmus.photos.mcp import server
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mcp"):
            raise
        raise MissingPart("the MCP server needs the package mcp", todo="pip install 'isthmus[mcp]'") from None

    with Library.read(library_folder(library)) as store:
        name = model or last_model(store)
        server(store, (lambda: searching_with(model or last_model(store) or name)) if name else None).run("stdio")


def serve_command(
    library: LibraryOption = None,
    model: ModelOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="0 takes a free one. Default: 8642, where that is free.", show_default=False
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    thumbnails: Annotated[
        float, typer.Option(min=0.01, help="GB of small pictures to keep beside the library, at most.")
    ] = 2,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    exposed: Annotated[
        bool,
        typer.Option(
            "--exposed",
            help="Allow a --host that other machines reach: whoever has the address with its token sees all photos, "
            "and what is sent is not encrypted.",
        ),
    ] = False,
) -> None:
    """A page to search and look at the photos, on this machine only; the address is printed. Stop with Ctrl-C."""
    try:
        from isthmus.photos.serve.run import serve
    except ModuleNotFoundError as error:
        raise MissingPart(
            f"the page needs {error.name}", todo="install it with: pip install 'isthmus[serve]'"
        ) from None
    from isthmus.photos.store import Library

    # Asked to end by the system, it ends as by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Library.read(library_folder(library)) as store:
        name = model or last_model(store)
        try:
            serve(
                store,
                None if name is None else lambda: searching_with(model or last_model(store) or name),
                host=host,
                port=port,
                exposed=exposed,
                browser=not no_browser,
                keep=int(thumbnails * 1e9),
                say=say,
            )
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)


def _read_as(found: "Found") -> dict[str, Any]:
    from isthmus.photos.query import to_json

    return {
        "read_as": json.loads(to_json(found.query)),
        "fitting": found.fitting,
        "photos": found.photos,
        "without": [{"chip": at, "fitting": count} for at, count in found.without],
        "gloss": vars(found.gloss) if found.gloss else None,
        "sure": found.sure,
    }


def _say_found(found: "Found") -> None:
    """How the query was understood, where it was more than words; and what would help where nothing fits."""
    from isthmus.photos.query import explain

    query = found.query
    if any(chip.kind != "words" for chip in query.chips) or query.unsure:
        typer.echo(f"{explain(query)} ({found.fitting} of {found.photos} photos fit)", err=True)
    if found.gloss:
        taken = ", ".join(f"{word} “{meaning}”" for word, meaning in found.gloss.words)
        unknown = f"; not in the dictionary: {', '.join(found.gloss.unknown)}" if found.gloss.unknown else ""
        typer.echo(f"the model reads English: {taken or 'nothing'}{unknown}", err=True)
    if found.sure is not None and found.fitting:
        typer.echo(f"{found.sure or 'none'} sure, {found.fitting - found.sure} weaker", err=True)
    for at, count in found.without:
        typer.echo(f"without “{query.chips[at].label}” {count} would", err=True)


def _print_hits(hits: "Sequence[Hit]") -> None:
    for hit in hits:
        score = "" if hit.score is None else f"{hit.score:.3f}  "
        taken = f"  {hit.taken}" if hit.taken else ""
        copies = f"  (+{len(hit.copies)} copies)" if hit.copies else ""
        away = "" if hit.available else "  (not there now)"
        live = "  (live)" if hit.video else ""
        say(f"{hit.rank:3}  {score}{shown(hit.path)}  {hit.width}x{hit.height}{taken}{live}{copies}{away}")
