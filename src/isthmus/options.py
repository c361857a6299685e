"""How a model is to answer: how long, how likely, until when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.errors import InputError


@dataclass(frozen=True)
class Options:
    """How to answer. Raises InputError for values outside their range. Source of top-p: Holtzman et al., 2020.

    An answer ends before the first stop string; of several, the one completed first.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    """0: always the likeliest token (greedy); 1: the model's own distribution."""
    top_p: float = 1.0
    """Draw only among the likeliest tokens that together have this probability (0 < top_p <= 1)."""
    stop: tuple[str, ...] = ()
    seed: int | None = None
    """Of the draws; None: another answer each time. Greedy answers need none."""
    json: bool | Mapping[str, Any] = False
    """True: the answer is one JSON object; a JSON schema: one that fits it. Backends that cannot promise it refuse."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"max_tokens is {self.max_tokens}", todo="ask for at least one token")
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}", todo="give 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}", todo="give more than 0 and at most 1")
        if isinstance(self.stop, str) or "" in self.stop:
            raise InputError(f"stop is {self.stop!r}", todo="give a tuple of texts, none of them empty")
