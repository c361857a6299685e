"""`isthmus photos`: index folders, search by a sentence, see what is covered. Thin: the work is in `isthmus.photos`.

Nothing heavy is imported before a command needs it: `--help` answers without torch.
"""

import json
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.errors import InputError, IsthmusError, MissingPart

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.photos.duplicates import Duplicate, Duplicates, Group
    from isthmus.photos.hits import Hit
    from isthmus.photos.index import IndexReport
    from isthmus.photos.regions import CloserReport
    from isthmus.photos.report import Coverage
    from isthmus.photos.search import Found
    from isthmus.photos.store import Library
    from isthmus.photos.text.reading import ReadingReport
    from isthmus.photos.watch import Happening

DEFAULT_MODEL = "default/embedder"

app = typer.Typer(
    help="Find photos by saying what is in them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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


@app.command("index")
def index_command(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Folders, with all below them.")],
    library: LibraryOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
    batch: Annotated[int, typer.Option(min=1, help="Pictures through the model at once.")] = 16,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that read and decode. Default: one a processor.")
    ] = None,
    closer: Annotated[
        bool,
        typer.Option("--closer/--whole", help="Then look at five regions of each photo, which finds small things."),
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Index the photos in FOLDERs: new and changed ones only; stop with Ctrl-C and go on later."""
    from isthmus.photos.index import check_folders, index
    from isthmus.photos.store import Library

    check_folders(folders)
    _hush_pillow()
    with _stop_on_signals() as stop, Library.write(_folder(library)) as store:
        name = model or _last_model(store) or DEFAULT_MODEL
        embedder = _embedder(name, indexing=True)
        from isthmus.photos.regions import REGIONS, look_closer
        from isthmus.photos.speed import indexing_threads

        with indexing_threads():
            report = index(store, folders, embedder, batch=batch, workers=workers, quiet=quiet, stop=stop.asked)
            look = None
            seen = store.model(embedder.fingerprint)
            if closer and not stop.asked() and seen is not None and seen.generation:
                parts = max(1, batch // REGIONS)
                look = look_closer(store, embedder, batch=parts, workers=workers, quiet=quiet, stop=stop.asked)
        if report.embedded or (look and look.looked) or not stop.asked():
            _prepare_search(store, embedder)
        from isthmus.photos.report import coverage, unread_files

        if as_json:
            _print_json({"run": _run(report, look), "unread": [vars(file) for file in unread_files(store)]})
        else:
            _say_run(report, look, coverage(store))
        if stop.signal is not None:
            left = (
                f"{report.left} files are left" if report.left or not look else f"{look.left} are left to look closer"
            )
            typer.echo(f"stopped: {left}; go on with the same command", err=True)
            raise typer.Exit(128 + stop.signal)


@app.command("text")
def text_command(
    library: LibraryOption = None,
    as_json: JsonOption = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Photos read at once, a processor each. Default: one a processor.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Read the text in indexed photos, so that search finds it; stop with Ctrl-C and go on later."""
    from isthmus.photos.store import FILE, Library

    folder = _folder(library)
    if not (folder / FILE).exists():
        raise InputError(f"no photos are indexed in {folder}", todo="index some with: isthmus photos index FOLDER")
    from isthmus.photos.text.ocr import Ocr
    from isthmus.photos.text.reading import read_text

    _hush_pillow()
    with _stop_on_signals() as stop, Library.write(folder) as store:
        report = read_text(store, Ocr(), workers=workers, quiet=quiet, stop=stop.asked)
    if as_json:
        _print_json({**vars(report), "postponed": dict(report.postponed), "seconds": round(report.seconds, 3)})
    else:
        _say_text(report)
    if stop.signal is not None:
        typer.echo(f"stopped: {report.left} photos are left; go on with the same command", err=True)
        raise typer.Exit(128 + stop.signal)


@app.command("watch")
def watch_command(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Folders, with all below them.")],
    every: Annotated[
        str,
        typer.Option(help="How often to look whatever happens (30s, 10m, 2h): network drives send no news."),
    ] = "10m",
    library: LibraryOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each thing that happens.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Pictures through the model at once.")] = 16,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that read and decode. Default: one a processor.")
    ] = None,
    closer: Annotated[
        bool, typer.Option("--closer/--whole", help="Each pass then looks at five regions of each new photo.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress of the first pass.")] = False,
) -> None:
    """Index FOLDERs, and again whenever something changes in them, until Ctrl-C. A drive that goes is waited for."""
    from isthmus.photos.store import FILE, Library
    from isthmus.photos.watch import check_watched, watch

    seconds, folder = _seconds(every), _folder(library)
    check_watched(folder, folders)
    _hush_pillow()
    name = model
    if name is None and (folder / FILE).exists():
        with Library.read(folder) as store:
            name = _last_model(store)
    with _stop_on_signals() as stop:
        embedder = _embedder(name or DEFAULT_MODEL, indexing=True)
        from isthmus.photos.speed import indexing_threads

        with indexing_threads():
            happenings = watch(
                folder,
                folders,
                embedder,
                every=seconds,
                batch=batch,
                workers=workers,
                closer=closer,
                quiet=quiet,
                stop=stop.asked,
            )
            for happening in happenings:
                _say_happening(happening, as_json)


@app.command("search")
def search_command(
    query: Annotated[str, typer.Argument(help='What to look for, as in "a cup of coffee".')],
    top: Annotated[
        int | None, typer.Option(min=1, help="Number of results. Default: as many as QUERY says, else 10.")
    ] = None,
    as_json: JsonOption = False,
    sheet: Annotated[Path | None, typer.Option(help="Write the results as one labelled picture (PNG).")] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
) -> None:
    """Find photos by QUERY: what they show, when and where they were taken, with which camera, of what kind."""
    from isthmus.photos.search import Searcher, check_query
    from isthmus.photos.store import FILE, Library

    check_query(query, top or 1)
    if sheet is not None and not sheet.absolute().parent.is_dir():
        raise InputError(f"there is no folder {sheet.absolute().parent}", todo="write the sheet elsewhere")
    folder = _folder(library)
    if library is not None and not folder.is_dir():
        raise InputError(f"there is no folder {folder}", todo="check --library")
    found: Found | None = None
    if (folder / FILE).exists():
        with Library.read(folder) as store:
            if last := _last_model(store):
                searcher = Searcher(store, None)
                asked = searcher.read(query)
                # A query of conditions alone needs no model, and is answered before one would be loaded.
                searcher.embedder = _embedder(model or last) if asked.needs_model else None
                found = searcher.search(asked, top)
    hits = found.hits if found else ()
    if as_json:
        read_as = _read_as(found) if found else {}
        _print_json({"query": query, "library": str(folder), **read_as, "results": [vars(hit) for hit in hits]})
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


@app.command("mcp")
def mcp_command(library: LibraryOption = None, model: ModelOption = None) -> None:
    """Let a chat client search the photos: an MCP server over stdin and stdout, which the client starts."""
    from isthmus.photos.store import Library

    try:
        from isthmus.photos.mcp import server
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mcp"):
            raise
        raise MissingPart("the MCP server needs the package mcp", todo="pip install 'isthmus[mcp]'") from None

    with Library.read(_folder(library)) as store:
        name = model or _last_model(store)
        server(store, (lambda: _embedder(name)) if name else None).run("stdio")


@app.command("status")
def status_command(
    as_json: JsonOption = False,
    unread: Annotated[bool, typer.Option("--unread", help="List each file that could not be read.")] = False,
    library: LibraryOption = None,
) -> None:
    """What is indexed, what could not be read and why; reads the whole library once to see that it is sound."""
    from isthmus.photos.report import coverage, unread_files
    from isthmus.photos.store import FILE, Library

    folder = _folder(library)
    if library is not None and not folder.is_dir():
        raise InputError(f"there is no folder {folder}", todo="check --library")
    if not (folder / FILE).exists():
        typer.echo(f"no photos are indexed in {folder} (index some with: isthmus photos index FOLDER)", err=True)
        raise typer.Exit(1)
    with Library.read(folder) as store:
        store.check()
        found = coverage(store)
        files = unread_files(store) if unread else []
    if as_json:
        value = _plain(found)
        _print_json({**value, "unread_files": [vars(file) for file in files]} if unread else value)
    else:
        _print_status(found)
        for file in files:
            _print(f"{file.reason}\t{_shown(file.path)}" + (f"\t{file.detail}" if file.detail else ""))


@app.command("serve")
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
    with Library.read(_folder(library)) as store:
        name = model or _last_model(store)
        try:
            serve(
                store,
                None if name is None else lambda: _embedder(name),
                host=host,
                port=port,
                exposed=exposed,
                browser=not no_browser,
                keep=int(thumbnails * 1e9),
                say=_print,
            )
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)


@app.command("duplicates")
def duplicates_command(as_json: JsonOption = False, library: LibraryOption = None) -> None:
    """Show which photos are the same picture (equal files, other sizes, qualities, formats, small crops), and which of
    each to keep. Deletes nothing."""
    from isthmus.photos.duplicates import find_duplicates
    from isthmus.photos.store import Library

    with Library.read(_folder(library)) as store:
        found = find_duplicates(store)
    if as_json:
        _print_json(_plain(found))
    else:
        for group in found.groups:
            _print_group(group)
        spare = sum(group.spare for group in found.groups)
        _print(f"{len(found.groups)} groups; beside those to keep, their files are {spare / 1e6:.1f} MB")
    if found.unprinted:
        typer.echo(
            f"{found.unprinted} of {found.photos} photos are not compared yet (index your folders again)", err=True
        )
    if not found.groups:
        raise typer.Exit(1)


@app.command("backup")
def backup_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; an older copy there is replaced.")],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the library to FILE, also while it is indexed or searched; the copy is checked before it counts."""
    from isthmus.photos.backup import back_up
    from isthmus.photos.store import Library

    with Library.read(_folder(library)) as store:
        vectors = back_up(store, file)
    size = file.stat().st_size
    if as_json:
        _print_json({"file": str(file.absolute()), "vectors": vectors, "bytes": size})
    else:
        _print(f"{_shown(str(file))}: sound, {vectors} vectors, {size / 1e6:.1f} MB")


@app.command("restore")
def restore_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the copy FILE in the library's place; the library that stands there is kept under another name."""
    from isthmus.photos.backup import restore

    done = restore(_folder(library), file)
    if as_json:
        _print_json({"vectors": done.vectors, "aside": str(done.aside) if done.aside else None})
        return
    _print(f"restored: {done.vectors} vectors. Index your folders to catch up with what changed since")
    if done.aside:
        _print(f"what stood there before is {_shown(str(done.aside))}")


def main() -> None:
    """`python -m isthmus.cli.photos`."""
    try:
        app(prog_name="isthmus photos")
    except IsthmusError as error:
        typer.echo(f"isthmus: {error}", err=True)
        sys.exit(error.exit_code)


def _folder(library: Path | None) -> Path:
    if library is not None:
        return library.absolute()
    from platformdirs import user_data_path

    return user_data_path("isthmus")


def _last_model(library: "Library") -> str | None:
    models = library.models()
    return models[0].name if models else None


def _embedder(name: str, *, indexing: bool = False) -> "Embedder":
    if Path(name).is_dir():
        name = str(Path(name).absolute())  # the library remembers it for searches from elsewhere
    import torch

    from isthmus.contrastive import load_embedder

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if not indexing or name == DEFAULT_MODEL:  # its small network is fast, and checked, in fp32
        return load_embedder(name, device=device)
    from isthmus.precision import fast_dtype

    return load_embedder(name, device=device, dtype=fast_dtype(device))


def _hush_pillow() -> None:
    """What it remarks about odd files is said by the coverage report, for those that cannot be read."""
    warnings.filterwarnings("ignore", category=Warning, module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def _prepare_search(library: "Library", embedder: "Embedder") -> None:
    """Write the matrix now, so that the first search does not."""
    from isthmus.photos.matrix import load_matrix
    from isthmus.photos.sure import load_background

    model = library.model(embedder.fingerprint)
    if model is not None and model.generation:
        load_matrix(library, model)
        if model.closer:
            load_matrix(library, model, "regions")
        load_background(library.folder, embedder)


class _Stop:
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
def _stop_on_signals() -> Iterator[_Stop]:
    stop = _Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _run(report: "IndexReport", look: "CloserReport | None") -> dict[str, Any]:
    return {
        "met": report.met,
        "embedded": report.embedded,
        "known": report.known,
        "again": report.again,
        "unread": dict(report.unread),
        "gone": report.gone,
        "left": report.left,
        "unmounted": [os.fsdecode(path) for path in report.unmounted],
        "closer": look and {"looked": look.looked, "left": look.left, "postponed": dict(look.postponed)},
        "seconds": round(report.seconds + (look.seconds if look else 0), 3),
    }


def _say_run(report: "IndexReport", look: "CloserReport | None", found: "Coverage") -> None:
    _say_unmounted(report)
    _print(_news(report))
    if look and (look.looked or look.postponed):
        _print(_looked(look))
    _print(_sum_up(found))


def _say_unmounted(report: "IndexReport") -> None:
    for path in report.unmounted:
        typer.echo(f"{_shown(os.fsdecode(path))} is empty now: taken for a drive that is not there", err=True)


def _looked(look: "CloserReport") -> str:
    later = f", {look.postponed.total()} left for the next run" if look.postponed else ""
    return f"{look.looked} photos looked at closer in {look.seconds:.1f} s{later}"


def _news(report: "IndexReport") -> str:
    news = [f"{report.embedded} photos embedded"]
    news += [f"{report.known} moved or copied"] if report.known else []
    news += [f"{report.again} read again"] if report.again else []
    news += [f"{report.gone} gone"] if report.gone else []
    return f"{', '.join(news)} in {report.seconds:.1f} s"


def _say_happening(happening: "Happening", as_json: bool) -> None:
    """A line with the time: what a pass did to stdout, what stands in its way to stderr; as JSON all to stdout."""
    from datetime import datetime

    from isthmus.photos import watch

    now = datetime.now().astimezone().isoformat(timespec="seconds")
    match happening:
        case watch.Indexed(why, report, look):
            what = {"what": "indexed", "why": why, **_run(report, look)}
            text = _news(report) + (f"; {_looked(look)}" if look and look.looked else "")
        case watch.Away(folder):
            what, text = {"what": "away", "folder": str(folder)}, f"{_shown(str(folder))} is not there: waiting for it"
        case watch.Back(folder):
            what, text = {"what": "back", "folder": str(folder)}, f"{_shown(str(folder))} is back"
        case watch.Busy():
            what, text = {"what": "busy"}, "another process holds the library: waiting for it"
        case watch.Deaf(why):
            what, text = {"what": "deaf", "why": why}, f"no news come of changes, looking every so often only: {why}"
    if as_json:
        _print(json.dumps({"at": now, **what}))
        return
    if isinstance(happening, watch.Indexed):
        _say_unmounted(happening.report)
    typer.echo(os.fsencode(f"{now} {text}"), err=not isinstance(happening, watch.Indexed))


def _seconds(text: str) -> float:
    """Of "30s", "10m", "2h". Raises InputError."""
    found = re.fullmatch(r"([0-9]{1,6})([smh])", text.strip())
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not seconds:
        raise InputError(f"--every {text} is no time", todo="give it as 30s, 10m or 2h")
    return float(seconds)


def _say_text(report: "ReadingReport") -> None:
    _print(
        f"text read in {report.read} photos: {report.lines} lines in {report.with_text} of them, {report.seconds:.1f} s"
    )
    if report.postponed:
        why = ", ".join(f"{count} {reason}" for reason, count in report.postponed.most_common())
        _print(f"{report.postponed.total()} left for the next run: {why}")


def _print_status(found: "Coverage") -> None:
    _print(f"library {_shown(found.library)}: sound, {found.bytes / 1e6:.1f} MB")
    for root in found.roots:
        _print(f"  {_shown(root.path)}: {root.files} files" + ("" if root.available else " (not there now)"))
    for model in found.models:
        _print(f"  model {model.name}: {model.photos} of {found.photos} photos, {model.dim} numbers each")
    _print(f"  text read in {found.text_read} of {found.photos} photos")
    _print(_sum_up(found))


def _sum_up(found: "Coverage") -> str:
    lines = [f"{found.photos} photos in {found.known} files"]
    if found.sidecars:
        lines[0] += f", {found.sidecars} sidecars"
    if found.moving:
        lines[0] += f", {found.moving} videos of live photos"
    if found.pending:
        lines[0] += f", {found.pending} files to do"
    if found.gone:
        lines[0] += f", {found.gone} files gone"
    if found.unread:
        lines.append(f"{sum(found.unread.values())} not read (each with its reason: isthmus photos status --unread)")
        lines += [f"  {count:6} {reason}" for reason, count in found.unread.items()]
    return "\n".join(lines)


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
        _print(f"{hit.rank:3}  {score}{_shown(hit.path)}  {hit.width}x{hit.height}{taken}{live}{copies}{away}")


def _shown(path: str) -> str:
    from isthmus.photos.paths import readable

    return readable(path)


def _print_json(value: object) -> None:
    # ASCII: a name that is not text becomes escapes, which Python's json and os.fsencode turn back into its bytes.
    _print(json.dumps(value, indent=2))


def _print_group(group: "Group") -> None:
    """One line a file: of the photo to keep, of equal files (=), of near-duplicates with how near they are (~)."""
    for mark, photo in (("keep", group.keep), *(("   ~", other) for other in group.others)):
        first, *equal = photo.paths
        _print(f"{mark} {_shown(first)}  {_described(photo)}")
        for path in equal:
            _print(f"   = {_shown(path)}")
    _print("")


def _described(photo: "Duplicate") -> str:
    near = "" if photo.bits is None else f"  {photo.bits} bits apart"
    near += "" if photo.cosine is None else f", {photo.cosine:.3f}"
    away = "" if photo.available else "  (not there now)"
    return f"{photo.width}x{photo.height}  {photo.bytes / 1e6:.2f} MB{near}{away}"


def _plain(found: "Coverage | Duplicates") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)


def _print(text: str) -> None:
    """To stdout, names that are not text as their own bytes. A reader that has gone (`| head`) is no error."""
    try:
        typer.echo(os.fsencode(text + "\n"), nl=False)
    except BrokenPipeError:
        # Python flushes stdout once more at exit: it gets somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


if __name__ == "__main__":
    main()
