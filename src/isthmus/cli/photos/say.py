"""How the commands speak: names that are not text, JSON, and what the library holds."""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from isthmus.photos.duplicates import Duplicates
    from isthmus.photos.report import Coverage


def say(text: str) -> None:
    """To stdout, names that are not text as their own bytes. A reader that has gone (`| head`) is no error."""
    try:
        typer.echo(os.fsencode(text + "\n"), nl=False)
    except BrokenPipeError:
        # Python flushes stdout once more at exit: it gets somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def print_json(value: object) -> None:
    # ASCII: a name that is not text becomes escapes, which Python's json and os.fsencode turn back into its bytes.
    say(json.dumps(value, indent=2))


def plain(found: "Coverage | Duplicates") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)


def shown(path: str) -> str:
    from isthmus.photos.paths import readable

    return readable(path)


def sum_up(found: "Coverage") -> str:
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
