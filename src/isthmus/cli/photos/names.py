"""`isthmus photos name`: people, pets and things by a few pictures of each."""

from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli.photos.parts import JsonOption, LibraryOption, embedder_named, hush_pillow, last_model, library_folder
from isthmus.cli.photos.say import print_json, say
from isthmus.errors import InputError

if TYPE_CHECKING:
    from isthmus.photos.naming import Named
    from isthmus.photos.store import Library


def name_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Whom or what the pictures show.")] = None,
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PICTURE...",
            help="Files that show it, three or more if you can; FILE@LEFT,TOP,RIGHT,BOTTOM says where, in pixels.",
        ),
    ] = None,
    wrong: Annotated[
        list[str] | None, typer.Option("--not", metavar="PICTURE", help="It was found in this one, and is not there.")
    ] = None,
    rename: Annotated[str | None, typer.Option(metavar="NEW", help="Call it NEW from now on.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Forget the name and its examples.")] = False,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a person, a pet or a thing by a few pictures, and ask for it: isthmus photos search "Rex on a beach".
    Without pictures: what is named, and in how many photos it was found. All on this machine."""
    from isthmus.photos import naming
    from isthmus.photos.pointed import Pointed
    from isthmus.photos.store import Library

    changes = bool(pictures or wrong) + (rename is not None) + forget
    if changes > 1 or (changes and name is None):
        raise InputError("pictures, --rename and --forget are three things", todo="give NAME and one of them")
    folder = library_folder(library)
    with Library.read(folder) as store:
        if not changes:
            _list(store, name, as_json)
            return
        model = last_model(store)
    assert name is not None
    right, not_it = ([Pointed.read(each) for each in some or []] for some in (pictures, wrong))
    hush_pillow()
    with Library.write(folder) as store:
        if forget:
            naming.forget(store, name)
            told = f"{name} is forgotten"
        elif rename is not None:
            naming.rename(store, name, rename)
            told = f"{name} is {rename} now"
        else:
            if model is None:
                raise InputError("no photos are indexed yet", todo="index some with: isthmus photos index FOLDER")
            learned = naming.teach(store, embedder_named(model), name, right, not_it)
            told = _told(learned)
            if learned.examples < 3 and not any(each.box for each in right):
                typer.echo("three pictures, or saying where (FILE@LEFT,TOP,RIGHT,BOTTOM), find it better", err=True)
        found = naming.names(store)
    if as_json:
        print_json([vars(each) for each in found])
    else:
        say(told)


def _list(store: "Library", name: str | None, as_json: bool) -> None:
    from isthmus.photos.naming import names

    found = [each for each in names(store) if name is None or each.name.lower() == name.lower()]
    if as_json:
        print_json([vars(each) for each in found])
    else:
        for each in found:
            say(_told(each))
    if not found:
        typer.echo('nothing is named yet: isthmus photos name "Rex" PICTURE...', err=True)
        raise typer.Exit(1)


def _told(named: "Named") -> str:
    wrong = f" and {named.wrong} that do not show it" if named.wrong else ""
    return f"{named.name}: {named.photos} photos, by {named.examples} examples{wrong}"
