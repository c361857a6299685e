"""`isthmus photos status`, `duplicates`, `publish`, `backup` and `restore`: what keeps the library."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli.photos.parts import JsonOption, LibraryOption, library_folder
from isthmus.cli.photos.say import plain, print_json, say, shown, sum_up
from isthmus.errors import InputError

if TYPE_CHECKING:
    from isthmus.photos.duplicates import Duplicate, Group
    from isthmus.photos.report import Coverage


def status_command(
    as_json: JsonOption = False,
    unread: Annotated[bool, typer.Option("--unread", help="List each file that could not be read.")] = False,
    library: LibraryOption = None,
) -> None:
    """What is indexed, what could not be read and why; reads the whole library once to see that it is sound."""
    from isthmus.photos.report import coverage, unread_files
    from isthmus.photos.store import FILE, Library

    folder = library_folder(library)
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
        value = plain(found)
        print_json({**value, "unread_files": [vars(file) for file in files]} if unread else value)
    else:
        _print_status(found)
        for file in files:
            say(f"{file.reason}\t{shown(file.path)}" + (f"\t{file.detail}" if file.detail else ""))


def publish_command(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A folder, or s3://bucket/path (gs, az).")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Write the vectors to LanceDB at URI, or those that came since, for searches with --vectors URI."""
    from isthmus.photos.lance import publish
    from isthmus.photos.store import Library

    with Library.read(library_folder(library)) as store:
        model = store.serving()
        if model is None:
            raise InputError("no photos are indexed yet", todo="index some with: isthmus photos index FOLDER")
        done = publish(store, model, uri)
    if as_json:
        print_json({of: vars(each) for of, each in done.items()})
    else:
        names = {"vectors": "photos", "regions": "regions"}
        for of, each in done.items():
            say(f"{each.rows} {names[of]}, {each.added} of them new")


def duplicates_command(as_json: JsonOption = False, library: LibraryOption = None) -> None:
    """Show which photos are the same picture (equal files, other sizes, qualities, formats, small crops), and which of
    each to keep. Deletes nothing."""
    from isthmus.photos.duplicates import find_duplicates
    from isthmus.photos.store import Library

    with Library.read(library_folder(library)) as store:
        found = find_duplicates(store)
    if as_json:
        print_json(plain(found))
    else:
        for group in found.groups:
            _print_group(group)
        spare = sum(group.spare for group in found.groups)
        say(f"{len(found.groups)} groups; beside those to keep, their files are {spare / 1e6:.1f} MB")
    if found.unprinted:
        typer.echo(
            f"{found.unprinted} of {found.photos} photos are not compared yet (index your folders again)", err=True
        )
    if not found.groups:
        raise typer.Exit(1)


def backup_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; an older copy there is replaced.")],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the library to FILE, also while it is indexed or searched; the copy is checked before it counts."""
    from isthmus.photos.backup import back_up
    from isthmus.photos.store import Library

    with Library.read(library_folder(library)) as store:
        vectors = back_up(store, file)
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file.absolute()), "vectors": vectors, "bytes": size})
    else:
        say(f"{shown(str(file))}: sound, {vectors} vectors, {size / 1e6:.1f} MB")


def restore_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the copy FILE in the library's place; the library that stands there is kept under another name."""
    from isthmus.photos.backup import restore

    done = restore(library_folder(library), file)
    if as_json:
        print_json({"vectors": done.vectors, "aside": str(done.aside) if done.aside else None})
        return
    say(f"restored: {done.vectors} vectors. Index your folders to catch up with what changed since")
    if done.aside:
        say(f"what stood there before is {shown(str(done.aside))}")


def _print_status(found: "Coverage") -> None:
    say(f"library {shown(found.library)}: sound, {found.bytes / 1e6:.1f} MB")
    for root in found.roots:
        say(f"  {shown(root.path)}: {root.files} files" + ("" if root.available else " (not there now)"))
    for model in found.models:
        say(f"  model {model.name}: {model.photos} of {found.photos} photos, {model.dim} numbers each")
    say(f"  text read in {found.text_read} of {found.photos} photos")
    say(sum_up(found))


def _print_group(group: "Group") -> None:
    """One line a file: of the photo to keep, of equal files (=), of near-duplicates with how near they are (~)."""
    for mark, photo in (("keep", group.keep), *(("   ~", other) for other in group.others)):
        first, *equal = photo.paths
        say(f"{mark} {shown(first)}  {_described(photo)}")
        for path in equal:
            say(f"   = {shown(path)}")
    say("")


def _described(photo: "Duplicate") -> str:
    near = "" if photo.bits is None else f"  {photo.bits} bits apart"
    near += "" if photo.cosine is None else f", {photo.cosine:.3f}"
    away = "" if photo.available else "  (not there now)"
    return f"{photo.width}x{photo.height}  {photo.bytes / 1e6:.2f} MB{near}{away}"
