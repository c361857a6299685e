"""What a benchmark ran on, and how its figures are printed."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch


def machine() -> dict[str, object]:
    """Class of machine: never its name."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
    }


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
