"""How a benchmark's figures are printed, and what they were measured on."""

import json
from collections.abc import Sequence

from isthmus.machine import machine


def show(title: str, rows: Sequence[dict[str, object]], notes: Sequence[str], as_json: bool) -> None:
    """One table of equal keys and some lines below it; or all as JSON."""
    if as_json:
        print(
            json.dumps({"benchmark": title, "machine": machine(), "rows": list(rows), "notes": list(notes)}, indent=2)
        )
        return
    here = machine()
    print(f"{title}\n{here['processor']}, {here['cores']} cores, torch {here['torch']}, Python {here['python']}\n")
    keys = list(rows[0])
    cells = [keys] + [[_cell(row[key]) for key in keys] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(keys))]
    for line in cells:
        print(
            "  ".join(
                cell.ljust(width) if not at else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )
    print()
    for note in notes:
        print(note)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
