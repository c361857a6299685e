"""A picture filled into a form: which things, how many, how coloured, where. What a connector can say all at once.

A sentence has every word's place depend on the words before it; in a form, each field has its own place.
"""

from dataclasses import astuple, dataclass

from isthmus.training.data.questions import NUMBERS, place_of
from isthmus.training.data.scenes import COLOURS, Scene

LINES = 3
"""So many different things are told of, from left to right."""
UNKNOWN = "?"
"""In a field of which nothing is known: whatever is said there is right."""


@dataclass(frozen=True)
class Line:
    """One kind of thing. `standing` among the others ("left", "middle", "right"); `number` of its copies; `colour` if
    it was painted; `place` in the picture of a single one. Empty where there is nothing to say."""

    standing: str
    number: str
    colour: str
    name: str
    place: str

    @property
    def fields(self) -> tuple[str, ...]:
        return astuple(self)


Form = tuple[Line, ...]

ANY_SCENE: tuple[Form, ...] = tuple(
    (Line(standing, number, colour, "", f"{down} {across}".strip() or "middle"),)
    for standing in ("left", "middle", "right")
    for number in NUMBERS[1:5]
    for colour in COLOURS
    for down in ("top", "", "bottom")
    for across in ("left", "", "right")
)
"""Between them these say all that a scene's form can say, names aside."""


def form_of_scene(scene: Scene) -> Form:
    names = list(dict.fromkeys(thing.name for thing in scene.things))
    lines = []
    for at, name in enumerate(names[:LINES]):
        same = [thing for thing in scene.things if thing.name == name]
        standing = "" if len(names) == 1 else "left" if at == 0 else "right" if at == len(names) - 1 else "middle"
        place = place_of(scene, same[0]) if len(same) == 1 else ""
        lines.append(Line(standing, NUMBERS[len(same)], same[0].colour, name, place))
    return tuple(lines)


def form_of_one(name: str, colour: str = "") -> Form:
    """Of a picture of one thing that fills it, or stands anywhere."""
    return (Line("", NUMBERS[1], colour, name, UNKNOWN),)
