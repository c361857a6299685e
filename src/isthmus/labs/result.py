"""What a lab hands back: figures over seeds, checks against limits set beforehand, and the verdict they add up to.

A figure is a mean over seeds with the two-sided 95 % interval of Student's t (for three seeds, 4.30 standard errors to
either side). A check compares the whole interval with its limit, so a figure that is merely on the right side by its
mean decides nothing.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from isthmus.labs.work import Spent

Outcome = Literal["yes", "no", "open"]
Verdict = Literal["holds", "fails", "depends"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Figure:
    """One quantity, a value for each seed."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise ValueError("an interval over seeds needs at least two")

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def half(self) -> float:
        """Half the interval's width."""
        n, mean = len(self.values), self.mean
        variance = sum((value - mean) ** 2 for value in self.values) / (n - 1)
        return _quantile(n - 1) * math.sqrt(variance / n)

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half:.3f}"

    def to_json(self) -> dict[str, object]:
        return {"mean": self.mean, "low": self.low, "high": self.high, "values": list(self.values)}


def by_seed(work: Callable[..., float], *figures: Figure) -> Figure:
    """A figure computed from others seed by seed: paired, so that what seeds differ in together cancels out."""
    return Figure(tuple(work(*values) for values in zip(*(figure.values for figure in figures), strict=True)))


@dataclass(frozen=True)
class Check:
    """A figure against a limit: "yes" if its whole interval is on the right side, "no" if all of it is on the other."""

    what: str
    figure: Figure
    sense: Literal["at least", "at most"]
    limit: float

    @property
    def outcome(self) -> Outcome:
        low, high = self.figure.low - self.limit, self.figure.high - self.limit
        if self.sense == "at most":
            low, high = -high, -low
        return "yes" if low >= 0 else "no" if high < 0 else "open"

    def __str__(self) -> str:
        return f"{self.what}: {self.figure}, to be {self.sense} {self.limit:g}: {self.outcome}"


@dataclass(frozen=True)
class Finding:
    """One part of the claim: "yes" if every check is, "no" if any is, else open.

    `core`: without this part the claim fails; a part that is not core only bounds how far the claim reaches.
    """

    says: str
    checks: tuple[Check, ...]
    core: bool = True

    @property
    def outcome(self) -> Outcome:
        outcomes = {check.outcome for check in self.checks}
        return "no" if "no" in outcomes else "open" if "open" in outcomes else "yes"


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Holds if every part does; fails if a core part is refuted; otherwise it depends."""
    findings = tuple(findings)
    if all(finding.outcome == "yes" for finding in findings):
        return "holds"
    if any(finding.outcome == "no" for finding in findings if finding.core):
        return "fails"
    return "depends"


@dataclass(frozen=True)
class Table:
    """rows[name][column]; a row may lack a column that says nothing about it."""

    title: str
    rows: Mapping[str, Mapping[str, Figure]]

    def columns(self) -> list[str]:
        return list(dict.fromkeys(column for row in self.rows.values() for column in row))

    def to_text(self) -> str:
        columns = self.columns()
        lines = [["", *columns]]
        lines += [[name, *(str(row.get(column, "")) for column in columns)] for name, row in self.rows.items()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
        rows = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
        return "\n".join([self.title, *rows])


@dataclass(frozen=True)
class Result:
    """Everything a lab found. `settings`: the sizes it ran with; `plot`: the PNG it wrote."""

    lab: str
    claim: str
    findings: tuple[Finding, ...]
    tables: tuple[Table, ...]
    settings: Mapping[str, object]
    seeds: tuple[int, ...]
    plot: Path
    spent: Spent

    @property
    def verdict(self) -> Verdict:
        return verdict(self.findings)

    def to_json(self) -> dict[str, object]:
        """Plain values only, ready for json.dumps."""
        return {
            "lab": self.lab,
            "claim": self.claim,
            "verdict": self.verdict,
            "findings": [
                {
                    "says": finding.says,
                    "core": finding.core,
                    "outcome": finding.outcome,
                    "checks": [
                        {
                            "what": check.what,
                            "sense": check.sense,
                            "limit": check.limit,
                            "outcome": check.outcome,
                            **check.figure.to_json(),
                        }
                        for check in finding.checks
                    ],
                }
                for finding in self.findings
            ],
            "tables": [
                {
                    "title": table.title,
                    "rows": {
                        name: {column: figure.to_json() for column, figure in row.items()}
                        for name, row in table.rows.items()
                    },
                }
                for table in self.tables
            ],
            "confidence": CONFIDENCE,
            "seeds": list(self.seeds),
            "settings": dict(self.settings),
            "plot": str(self.plot),
            "seconds": round(self.spent.wall, 1),
            "cpu_seconds": round(self.spent.cpu, 1),
        }

    def to_text(self) -> str:
        lines = [f"claim: {self.claim}", ""]
        for table in self.tables:
            lines += [table.to_text(), ""]
        for finding in self.findings:
            lines.append(f"[{finding.outcome}] {finding.says}{'' if finding.core else ' (bounds the claim)'}")
            lines += [f"    {check}" for check in finding.checks]
        lines += [
            "",
            f"verdict: the claim {self.verdict}",
            f"mean ± half the {CONFIDENCE:.0%} t-interval over {len(self.seeds)} seeds; "
            f"{self.spent.wall:.0f} s, {self.spent.cpu:.0f} s of one core; plot: {self.plot}",
        ]
        return "\n".join(lines) + "\n"


@lru_cache
def _quantile(degrees: int) -> float:
    """Of Student's t, for the two-sided interval."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
