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
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "role", "from", "size", "licence", "sha256", "state", "cached"):
        table.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
    for row in rows:
        size = f"{int(str(row['bytes'])) / 1e6:.1f} MB"
        state = str(row["state"]) + ("" if row["needed"] or row["state"] == "verified" else " (optional)")
        values = (row["name"], row["role"], row["from"], size, row["licence"], str(row["sha256"])[:12], state)
        table.add_row(*map(str, values), "yes" if row["cached"] else "no")
    Console().print(table)
