"""`isthmus photos index`, `text` and `watch`: what reads photos."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.photos.parts import (
    DEFAULT_MODEL,
    BatchOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    ThreadsOption,
    WorkersOption,
    embedder_named,
    hush_pillow,
    last_model,
    library_folder,
    stop_on_signals,
    workers_of,
)
from isthmus.cli.photos.say import print_json, say, shown, sum_up
from isthmus.errors import InputError

if TYPE_CHECKING:
    from isthmus.photos.index import IndexReport
    from isthmus.photos.report import Coverage
    from isthmus.photos.text.reading import ReadingReport
    from isthmus.photos.through import Passed
    from isthmus.photos.watch import Happening


def index_command(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Folders, with all below them.")],
    library: LibraryOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
    batch: BatchOption = 16,
    workers: WorkersOption = None,
    closer: Annotated[
        bool,
        typer.Option("--closer/--whole", help="Then look at five regions of each photo, which finds small things."),
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Index the photos in FOLDERs: new and changed ones only; stop with Ctrl-C and go on later."""
    from isthmus.photos.index import check_folders
    from isthmus.photos.store import Library
    from isthmus.photos.update import update

    check_folders(folders)
    hush_pillow()
    with stop_on_signals() as stop, Library.write(library_folder(library)) as store:
        name = model or last_model(store) or DEFAULT_MODEL
        embedder = embedder_named(name, indexing=True)
        threads, cluster = workers_of(workers, name, embedder, batch)
        done = update(
            store,
            folders,
            embedder,
            batch=batch,
            workers=threads,
            closer=closer,
            quiet=quiet,
            stop=stop.asked,
            cluster=cluster,
        )
        report, look = done.report, done.look
        from isthmus.photos.report import coverage, unread_files

        if as_json:
            print_json({"run": _run(report, look), "unread": [vars(file) for file in unread_files(store)]})
        else:
            _say_run(report, look, coverage(store))
        if stop.signal is not None:
            left = (
                f"{report.left} files are left" if report.left or not look else f"{look.left} are left to look closer"
            )
            typer.echo(f"stopped: {left}; go on with the same command", err=True)
            raise typer.Exit(128 + stop.signal)


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

    folder = library_folder(library)
    if not (folder / FILE).exists():
        raise InputError(f"no photos are indexed in {folder}", todo="index some with: isthmus photos index FOLDER")
    from isthmus.photos.text.ocr import Ocr
    from isthmus.photos.text.reading import read_text

    hush_pillow()
    with stop_on_signals() as stop, Library.write(folder) as store:
        report = read_text(store, Ocr(), workers=workers, quiet=quiet, stop=stop.asked)
    if as_json:
        print_json({**vars(report), "postponed": dict(report.postponed), "seconds": round(report.seconds, 3)})
    else:
        _say_text(report)
    if stop.signal is not None:
        typer.echo(f"stopped: {report.left} photos are left; go on with the same command", err=True)
        raise typer.Exit(128 + stop.signal)


def watch_command(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Folders, with all below them.")],
    every: Annotated[
        str,
        typer.Option(help="How often to look whatever happens (30s, 10m, 2h): network drives send no news."),
    ] = "10m",
    library: LibraryOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each thing that happens.")] = False,
    batch: BatchOption = 16,
    workers: ThreadsOption = None,
    closer: Annotated[
        bool, typer.Option("--closer/--whole", help="Each pass then looks at five regions of each new photo.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress of the first pass.")] = False,
) -> None:
    """Index FOLDERs, and again whenever something changes in them, until Ctrl-C. A drive that goes is waited for."""
    from isthmus.photos.store import FILE, Library
    from isthmus.photos.watch import check_watched, watch

    seconds, folder = _seconds(every), library_folder(library)
    check_watched(folder, folders)
    hush_pillow()
    name = model
    if name is None and (folder / FILE).exists():
        with Library.read(folder) as store:
            name = last_model(store)
    with stop_on_signals() as stop:
        embedder = embedder_named(name or DEFAULT_MODEL, indexing=True)
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


def _seconds(text: str) -> float:
    """Of "30s", "10m", "2h". Raises InputError."""
    found = re.fullmatch(r"([0-9]{1,6})([smh])", text.strip())
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not seconds:
        raise InputError(f"--every {text} is no time", todo="give it as 30s, 10m or 2h")
    return float(seconds)


def _run(report: "IndexReport", look: "Passed | None") -> dict[str, Any]:
    return {
        "met": report.met,
        "embedded": report.embedded,
        "known": report.known,
        "again": report.again,
        "unread": dict(report.unread),
        "gone": report.gone,
        "left": report.left,
        "unmounted": [os.fsdecode(path) for path in report.unmounted],
        "closer": look and {"looked": look.done, "left": look.left, "postponed": dict(look.postponed)},
        "seconds": round(report.seconds + (look.seconds if look else 0), 3),
    }


def _say_run(report: "IndexReport", look: "Passed | None", found: "Coverage") -> None:
    _say_unmounted(report)
    say(_news(report))
    if look and (look.done or look.postponed):
        say(_looked(look))
    say(sum_up(found))


def _say_unmounted(report: "IndexReport") -> None:
    for path in report.unmounted:
        typer.echo(f"{shown(os.fsdecode(path))} is empty now: taken for a drive that is not there", err=True)


def _looked(look: "Passed") -> str:
    later = f", {look.postponed.total()} left for the next run" if look.postponed else ""
    return f"{look.done} photos looked at closer in {look.seconds:.1f} s{later}"


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
            text = _news(report) + (f"; {_looked(look)}" if look and look.done else "")
        case watch.Away(folder):
            what, text = {"what": "away", "folder": str(folder)}, f"{shown(str(folder))} is not there: waiting for it"
        case watch.Back(folder):
            what, text = {"what": "back", "folder": str(folder)}, f"{shown(str(folder))} is back"
        case watch.Busy():
            what, text = {"what": "busy"}, "another process holds the library: waiting for it"
        case watch.Deaf(why):
            what, text = {"what": "deaf", "why": why}, f"no news come of changes, looking every so often only: {why}"
    if as_json:
        say(json.dumps({"at": now, **what}))
        return
    if isinstance(happening, watch.Indexed):
        _say_unmounted(happening.report)
    typer.echo(os.fsencode(f"{now} {text}"), err=not isinstance(happening, watch.Indexed))


def _say_text(report: "ReadingReport") -> None:
    say(
        f"text read in {report.read} photos: {report.lines} lines in {report.with_text} of them, {report.seconds:.1f} s"
    )
    if report.postponed:
        why = ", ".join(f"{count} {reason}" for reason, count in report.postponed.most_common())
        say(f"{report.postponed.total()} left for the next run: {why}")
