"""A tracker beside the log in JSON lines: what is written there is also shown elsewhere, if somebody wants it."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from accelerate import Accelerator

from isthmus.errors import MissingPart

Tracker: TypeAlias = Literal["tensorboard", "trackio"]
NAME = "isthmus"
INSTALL: dict[Tracker, str] = {"tensorboard": "pip install 'isthmus[track]'", "trackio": "pip install trackio"}


def require_tracker(tracker: Tracker | None) -> None:
    """Raises MissingPart where its package is not installed: accelerate would go on without a word, and without it."""
    if tracker is not None and find_spec(tracker) is None:
        raise MissingPart(f"tracking by {tracker} needs its package", todo=f"{INSTALL[tracker]}, or leave track out")


def begin_tracking(accelerator: Accelerator, settings: Mapping[str, Any]) -> None:
    told = {name: each for name, each in settings.items() if isinstance(each, int | float | str)}
    accelerator.init_trackers(NAME, config=told)


def track(accelerator: Accelerator, line: Mapping[str, Any]) -> None:
    """A line of the log: its figures, rates apart, and what was evaluated apart from what was trained on."""
    figures: dict[str, float] = {key: each for key, each in line.items() if isinstance(each, float)}
    figures |= {f"rate/{name}": each for name, each in line.get("rate", {}).items()}
    figures |= {f"held_out/{name}": each for name, each in line.get("evaluated", {}).items()}
    accelerator.log(figures, step=line["step"])


def end_tracking(accelerator: Accelerator) -> None:
    """All is written. Not accelerate's `end_training`, which ends the processes' group too: a next stage needs it."""
    for tracker in accelerator.trackers:
        tracker.finish()
