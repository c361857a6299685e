"""The ledger: medians with intervals of every part, what is left over, and whether parts and total agree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from isthmus.latency.rounds import GAP, Round, Rounds, Run, Spent
from isthmus.stopwatch import PARTS, Part

Clock: TypeAlias = Literal["wall", "cpu"]
CLOCKS: tuple[Clock, ...] = ("wall", "cpu")
Verdict: TypeAlias = Literal["yes", "no", "cannot say"]


@dataclass(frozen=True)
class Figure:
    """A median, and the interval that holds it in 95 of 100 draws of the rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """One part of the way to the first token, in seconds."""

    part: Part | Literal["unattributed"]
    wall: Figure
    cpu: Figure
    share: float
    """Of the watched total, by the wall."""


@dataclass(frozen=True)
class Ledger:
    """`adds_up`: the parts' sum over the independently timed total, by each clock. `noise`: the same question twice in
    a round, one over the other: what differs by less than its interval leaves 1 cannot be told apart here."""

    lines: tuple[Line, ...]
    watched: Figure
    total: Figure
    total_cpu: Figure
    total_p95: float
    cold: float
    tokens_per_second: Figure | None
    prompt_tokens: int | None
    picture_tokens: int | None
    adds_up: dict[Clock, Figure]
    noise: dict[Clock, Figure]
    rounds: int

    def verdict(self, clock: Clock) -> Verdict:
        """Whether parts and total agree within GAP; "cannot say" where this machine varies by more than that."""
        return agree(self.adds_up[clock], self.noise[clock])


def agree(ratio: Figure, noise: Figure, gap: float = GAP) -> Verdict:
    """Whether a ratio is 1 within `gap`. Where equal things differ here by as much, no verdict is given."""
    if max(noise.high - 1, 1 - noise.low) > gap:
        return "cannot say"
    return "yes" if abs(ratio.median - 1) <= gap else "no"


def ledger(measured: Rounds) -> Ledger:
    rounds = measured.rounds
    watched = [each.watched for each in rounds]
    plain = [run for each in rounds for run in each.plain]
    seen = [name for name in PARTS if any(name in run.parts for run in watched)]
    total = median([run.first.wall for run in watched])
    nothing = Spent(0.0, 0.0)

    def line(name: Part | Literal["unattributed"], spent: Callable[[Run], Spent]) -> Line:
        wall, cpu = ([getattr(spent(run), clock) for run in watched] for clock in ("wall", "cpu"))
        return Line(name, median(wall), median(cpu), median(wall).median / total.median)

    lines = [line(name, lambda run, name=name: run.parts.get(name, nothing)) for name in seen]  # type: ignore[misc]
    lines.append(line("unattributed", _left_over))
    speeds = [speed for run in plain if (speed := run.tokens_per_second) is not None]
    return Ledger(
        lines=tuple(lines),
        watched=total,
        total=median([run.first.wall for run in plain]),
        total_cpu=median([run.first.cpu for run in plain]),
        total_p95=float(np.quantile([run.first.wall for run in plain], 0.95)),
        cold=measured.cold.first.wall,
        tokens_per_second=median(speeds) if speeds else None,
        prompt_tokens=plain[0].usage.prompt_tokens,
        picture_tokens=plain[0].usage.picture_tokens,
        adds_up={clock: median([_sum_over_total(each, clock) for each in rounds]) for clock in CLOCKS},
        noise={clock: median([_one_over_other(each, clock) for each in rounds]) for clock in CLOCKS},
        rounds=len(rounds),
    )


def median(values: Sequence[float], draws: int = 2000) -> Figure:
    """With a percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13)."""
    found = np.asarray(values, dtype=np.float64)
    drawn = np.median(np.random.default_rng(0).choice(found, (draws, len(found))), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Figure(float(np.median(found)), float(low), float(high))


def _left_over(run: Run) -> Spent:
    return Spent(run.first.wall - run.attributed.wall, run.first.cpu - run.attributed.cpu)


def _sum_over_total(each: Round, clock: Clock) -> float:
    plain = sum(getattr(run.first, clock) for run in each.plain) / 2
    return float(getattr(each.watched.attributed, clock) / plain)


def _one_over_other(each: Round, clock: Clock) -> float:
    one, other = (getattr(run.first, clock) for run in each.plain)
    return float(one / other)
