"""`isthmus photos model`: which model the library is searched with, and the way to another one and back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli.photos.parts import (
    BatchOption,
    JsonOption,
    LibraryOption,
    WorkersOption,
    embedder_named,
    hush_pillow,
    library_folder,
    stop_on_signals,
    workers_of,
)
from isthmus.cli.photos.say import print_json, say
from isthmus.errors import InputError, IsthmusError

if TYPE_CHECKING:
    from isthmus.contrastive.embedder import Embedder
    from isthmus.photos.selftest import SelfTest
    from isthmus.photos.store import Library


def model_command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Change to this embedder: a default/ name, a Hugging Face id, a folder."),
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Change to the model that served before.")] = False,
    forget: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remove the vectors of a model that does not serve.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Change also where the self-test fails or photos are not there just now.")
    ] = False,
    library: LibraryOption = None,
    as_json: JsonOption = False,
    batch: BatchOption = 16,
    workers: WorkersOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Show the models of the library, or change to another: all photos go through NAME while searches use the one
    before, it is tried on your own photos and words, and then it serves. Stop with Ctrl-C and go on later."""
    from isthmus.photos import swap
    from isthmus.photos.store import Library

    if sum((name is not None, back, forget is not None)) > 1:
        raise InputError("NAME, --back and --forget are three different things", todo="give one of them")
    folder = library_folder(library)
    if forget is not None:
        with Library.read(folder), Library.write(folder) as store:
            model = swap.named(store.models(), forget)
            count = swap.forget(store, model)
        _tell(as_json, {"forgot": model.name, "vectors": count}, f"{model.name}: {count} vectors removed")
        return
    if name is None and not back:
        with Library.read(folder) as store:
            _list(store, as_json)
        return
    hush_pillow()
    with stop_on_signals() as stop, Library.read(folder), Library.write(folder) as store:
        serving = store.models()
        if not serving or not serving[0].generation:
            raise InputError("nothing is indexed yet", todo="isthmus photos index FOLDER --model NAME")
        wanted = swap.before(store).name if name is None else name
        embedder = embedder_named(wanted, indexing=True)
        threads, cluster = workers_of(workers, wanted, embedder, batch)
        done = swap.embed_all(
            store, embedder, batch=batch, workers=threads, quiet=quiet, stop=stop.asked, cluster=cluster
        )
        if stop.signal is not None:
            typer.echo(f"stopped: {done.left} photos are left; go on with the same command", err=True)
            raise typer.Exit(128 + stop.signal)
        if serving[0].fingerprint == embedder.fingerprint:
            _tell(as_json, {"serves": embedder.name, "changed": False}, f"{embedder.name} serves already")
            return
        why = ", ".join(f"{count} {reason}" for reason, count in done.postponed.most_common())
        if done.left and not anyway:
            raise InputError(
                f"{done.left} photos would no longer be found by words",
                why=why,
                todo="mount their drive and go on with the same command, or give --anyway",
            )
        test = None
        if not back:
            test = _try(store, embedder, serving[0].name)
            if not as_json:
                _say_test(test, serving[0].name)
            if test.faults and not anyway:
                raise InputError(
                    f"{embedder.name} does not serve",
                    why="; ".join(test.faults),
                    todo=f"{serving[0].name} still does; --anyway changes all the same",
                )
        swap.serve_with(store, embedder)
    _tell(
        as_json,
        {"serves": embedder.name, "changed": True, "before": serving[0].name, "embedded": done.done,
         "left": done.left, "test": _plain_test(test)},
        f"{embedder.name} serves now: {done.done} photos embedded in {done.seconds:.1f} s. "
        "The way back: isthmus photos model --back",
    )  # fmt: skip


def _try(store: "Library", embedder: "Embedder", serving: str) -> "SelfTest":
    from isthmus.photos.selftest import self_test

    before: Embedder | None = None
    try:
        before = embedder_named(serving)
        if store.models()[0].fingerprint != before.fingerprint:
            typer.echo(f"{serving} is of another state than the one that serves: not compared with", err=True)
            before = None
    except IsthmusError as error:
        typer.echo(f"{serving} is not compared with: {error}", err=True)
    return self_test(store, embedder, before)


def _say_test(test: "SelfTest", before: str) -> None:
    was = "" if test.itself_before is None else f" ({before}: {test.itself_before:.0%})"
    say(f"self-test on {test.photos} photos: {test.itself:.0%} find themselves from a part of them{was}")
    if test.words is not None:
        was = "" if test.words_before is None else f" ({before}: {test.words_before:.3f})"
        say(f"  {test.texts} of the library's own titles and keywords: mean average precision {test.words:.3f}{was}")


def _plain_test(test: "SelfTest | None") -> dict[str, Any] | None:
    if test is None:
        return None
    return {
        **{key: value for key, value in vars(test).items() if key != "words_lost"},
        "words_lost": test.words_lost and test.words_lost.as_json(),
        "faults": list(test.faults),
    }


def _list(store: "Library", as_json: bool) -> None:
    from isthmus.photos.report import coverage

    found = coverage(store)
    if as_json:
        print_json([{**vars(model), "serves": at == 0} for at, model in enumerate(found.models)])
        return
    for at, model in enumerate(found.models):
        serves = "  serves" if at == 0 else ""
        say(f"{model.name}  {model.photos} of {found.photos} photos, {model.dim} numbers each{serves}")
    if not found.models:
        say("no model yet: isthmus photos index FOLDER")


def _tell(as_json: bool, value: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(value)
    else:
        say(text)
