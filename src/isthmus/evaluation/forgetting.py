"""The forgetting gate: what a model lost, probe by probe, against a budget set beforehand.

Compared is each probe's figure before and after, on the same items, as a share of what it was: (before - after) /
before where higher is better, (after - before) / before where lower is (bits per byte). A gain is a negative loss. The
interval is by bootstrap over items drawn in pairs. A loss that may be none, whose interval holds 0, is not over the
budget: of 32 instructions a single one is several per cent, and any training at all turns one over.

Source of the plane of learning and forgetting: LoRA Learns Less and Forgets Less (Biderman et al., 2024), section 4.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.contrastive.metrics import Interval
from isthmus.errors import InputError
from isthmus.evaluation.intervals import Rows, interval
from isthmus.evaluation.probes import BITS, COMBINES, Probe

ROUNDING = 1e-9
"""A loss of exactly the budget is within it, whatever the last bit of a division says."""


@dataclass(frozen=True)
class Loss:
    """What one probe says: its figure before and after, and the share lost. `over`: more than the budget, and certainly
    a loss. `certain`: the whole interval of that share is on the same side of the budget."""

    probe: str
    before: Interval
    after: Interval
    share: Interval
    over: bool
    certain: bool


@dataclass(frozen=True)
class Gate:
    """Within the budget, or not: `losses` has every probe that both models have."""

    budget: float
    losses: tuple[Loss, ...]

    @property
    def within(self) -> bool:
        return not any(loss.over for loss in self.losses)

    @property
    def mean(self) -> float:
        """The mean share lost: the height in the plane. Over the domains of texts, where there are any; one instruction
        more or less weighs as much as all of these together."""
        texts = [loss for loss in self.losses if loss.probe.startswith(BITS)]
        return float(np.mean([loss.share.value for loss in texts or self.losses]))

    @property
    def worst(self) -> Loss:
        """What lost the largest share, of those over the budget if there are any."""
        return max(self.losses, key=lambda loss: (loss.over, loss.share.value))

    def to_json(self) -> dict[str, Any]:
        return {
            "budget": self.budget,
            "within": self.within,
            "compared": "share of each probe's figure that was lost, on the same items",
            "mean_loss": self.mean,
            "probes": [
                {
                    "probe": loss.probe,
                    "before": vars(loss.before),
                    "after": vars(loss.after),
                    "loss": vars(loss.share),
                    "over": loss.over,
                    "certain": loss.certain,
                }
                for loss in self.losses
            ],
        }


def gate(before: Sequence[Probe], after: Sequence[Probe], budget: float, *, seed: int = 0) -> Gate:
    """What of `before` is lost in `after`. `budget`: the largest share that may be, 0.01 for 1 %.

    Raises InputError where no probe is common to both, or one was measured on other items.
    """
    then = {probe.name: probe for probe in before}
    pairs = [(then[probe.name], probe) for probe in after if probe.name in then]
    if not pairs:
        raise InputError("the two models have no probe in common", todo="compare models of the same kind")
    return Gate(budget, tuple(_loss(old, new, budget, seed) for old, new in pairs))


def parse_budget(text: str) -> float:
    """ "1%" -> 0.01. Raises InputError for anything but a percentage from 0 to 100."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[%％]\s*", text)
    if not found or float(found[1]) > 100:
        raise InputError(f"the budget {text!r} is no percentage", todo="give one such as 1% or 0.5%")
    return float(found[1]) / 100


def _loss(old: Probe, new: Probe, budget: float, seed: int) -> Loss:
    if old.items != new.items or old.rows.shape != new.rows.shape:
        raise InputError(
            f"the probe {old.name} was measured on other items before",
            why="the version of Isthmus or Python differs",
            todo="measure both models anew: choose an empty --out folder",
        )
    width, combine = old.rows.shape[1], COMBINES[old.by]

    def share(sums: Rows, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        was, now = combine(sums[:, :width], counts), combine(sums[:, width:], counts)
        lost = now - was if old.better == "lower" else was - now
        # Of nothing nothing can be lost.
        return np.divide(lost, was, out=np.zeros_like(lost), where=was > 0)

    lost = interval(np.hstack([old.rows, new.rows]), share, seed=seed)
    allowed = budget + ROUNDING
    over = lost.value > allowed and lost.low > 0
    certain = lost.low > allowed if over else lost.high <= allowed
    return Loss(old.name, old.figure(seed=seed), new.figure(seed=seed), lost, over, certain)
