"""A line of text as it was read."""

from dataclasses import dataclass
from typing import Protocol

from isthmus.images.views import Picture


@dataclass(frozen=True)
class Line:
    """`confidence`: 0 to 1, the recogniser's own. `x`, `y`, `w`, `h`: the upright box around it, its left top corner
    and its sides as shares of the upright picture's."""

    text: str
    confidence: float
    x: float
    y: float
    w: float
    h: float


class TextReader(Protocol):
    """What reads the text in a picture. `name`: which models; `at_least`: the fewest pixels of the shorter side it
    wants (`open_picture`)."""

    name: str
    at_least: int

    def read(self, picture: Picture) -> tuple[Line, ...]:
        """From the top left to the bottom right. Safe to call from many threads."""
