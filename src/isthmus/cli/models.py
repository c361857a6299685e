"""`isthmus models`: the parts that come with this version."""

import json
import sys
from typing import Annotated

import typer

from isthmus.errors import CorruptPart, MissingPart


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
) -> None:
    """List the default parts: where from, size, licence, hash verified, cached.

    Any Hugging Face id or folder can be used in their place wherever a command takes --model.
    """
    from isthmus.checkpoints.parts import PARTS

    rows = []
    for part in PARTS:
        try:
            part.verify()
            state = "verified"
        except MissingPart:
            state = "not installed"
        except CorruptPart:
            state = "wrong hash"
        rows.append(
            {
                "name": part.name,
                "role": part.role,
                "from": part.package,
                "bytes": part.size,
                "licence": part.licence,
                "sha256": part.sha256,
                "state": state,
                "cached": state == "verified" and part.is_cached,
                "needed": part.needed,
            }
        )
    if as_json:
        json.dump(rows, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _table(rows)
    if any(row["state"] != "verified" and row["needed"] for row in rows):
        raise typer.Exit(1)


def _table(rows: list[dict[str, object]]) -> None:
    """Plain columns, never folded: a narrow terminal may wrap a line, but a name stays in one piece."""
    table = [("name", "role", "size", "licence", "sha256", "state", "cached", "from")]
    for row in rows:
        state = str(row["state"]) + ("" if row["needed"] or row["state"] == "verified" else " (optional)")
        size = f"{int(str(row['bytes'])) / 1e6:.1f} MB"
        cached = "yes" if row["cached"] else "no"
        digest = str(row["sha256"])[:12]
        table.append(
            (str(row["name"]), str(row["role"]), size, str(row["licence"]), digest, state, cached, str(row["from"]))
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = (
            cell.rjust(w) if i == 2 else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
