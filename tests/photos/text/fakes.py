"""A reader without a model: what a picture says is its colour."""

from collections.abc import Callable
from dataclasses import dataclass, field

from isthmus.images.views import Picture
from isthmus.photos.text.lines import Line

from ..fakes import COLOURS


@dataclass
class Colours:
    """Two lines, "a picture" and its colour; none of a white one, and a failure of a black one. `then` is called after
    each."""

    name: str = "test/colours"
    at_least: int = 32
    read_so_far: list[str] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    def read(self, picture: Picture) -> tuple[Line, ...]:
        mean = picture.image.resize((1, 1)).getpixel((0, 0))
        assert isinstance(mean, tuple)
        colour = min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], mean, strict=True)))
        self.read_so_far.append(colour)
        self.then()
        if colour == "black":
            raise RuntimeError("it is too dark")
        if colour == "white":
            return ()
        return Line("a picture", 0.9, 0.1, 0.1, 0.5, 0.1), Line(colour, 0.8, 0.1, 0.3, 0.5, 0.1)
