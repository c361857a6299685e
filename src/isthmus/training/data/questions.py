"""Questions whose answers are known: about scenes, about pictures of one thing.

Every kind asks in several wordings. Answers are as short as a person's; where a yes would be too easy, half are no.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from isthmus.training.data.scenes import Scene, Thing

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

WORDINGS = {
    "what": ("What is this?", "What is in the picture?", "What do you see?", "What does this picture show?"),
    "which": ("What is {place}?", "Which thing is {place}?", "What do you see {place}?"),
    "count": ("How many {things} are there?", "How many {things} do you see?", "How many {things} are in the picture?"),
    "where": ("Where is the {thing}?", "Where in the picture is the {thing}?"),
    "side": (
        "Is the {thing} left or right of the {other}?",
        "On which side of the {other} is the {thing}, left or right?",
    ),
    "left of": ("Is the {thing} left of the {other}?", "Is the {other} right of the {thing}?"),
    "colour": ("What colour is the {thing}?", "What color is the {thing}?", "Which colour does the {thing} have?"),
    "is there": ("Is there {a_thing}?", "Is there {a_thing} in the picture?", "Do you see {a_thing}?"),
    "describe": ("Describe the picture.", "What can be seen here?", "Write a caption."),
}
KINDS = tuple(WORDINGS)
COMPARING = ("side", "left of")
"""Kinds that ask of two things at once."""
CAPTIONS = ("describe",)
"""Kinds whose answers tell of the whole picture: figures over all questions leave them out."""
KEPT = {("count", "one"): 0.12, ("where", "middle"): 0.3}
"""Share of the questions with this answer that are asked."""
EASY_VQA = "easy-vqa"
"""The kind of that package's own questions."""


@dataclass(frozen=True)
class Question:
    """`kind` is one of KINDS, or EASY_VQA."""

    kind: str
    text: str
    answer: str


def questions(scene: Scene, names: Sequence[str], seed: int, *, plain: bool = False) -> list[Question]:
    """The questions that fit the scene, one of each kind (two for "is there": one yes, one no).

    `names`: what else could be asked for; those in the scene are never taken for the no. `plain`: what is COMPARING is
    asked in the first wording alone. Answers that most scenes would
    give, "one" and "middle", are asked for about as often as others only, as in VQA v2 (Goyal et al., 2017): what can
    be guessed measures nothing.
    """
    rng = random.Random(f"questions {seed}")
    things = scene.things
    seen = {thing.name for thing in things}
    single = [thing for thing in things if _times(things, thing.name) == 1]
    asked: list[Question] = []

    def ask(kind: str, answer: str, **words: str) -> None:
        if rng.random() < KEPT.get((kind, answer), 1.0):
            wordings = WORDINGS[kind][:1] if plain and kind in COMPARING else WORDINGS[kind]
            asked.append(Question(kind, rng.choice(wordings).format(**words), answer))

    if len(things) == 1:
        ask("what", things[0].name)
        ask("where", place_of(scene, things[0]), thing=things[0].name)
    elif len(single) == len(things):
        at = rng.choice((0, len(things) - 1, rng.randrange(len(things))))
        ask("which", things[at].name, place=_standing(at, len(things)))
        thing, other = rng.sample(single, 2)
        is_left = thing.centre[0] < other.centre[0]
        if abs(thing.centre[0] - other.centre[0]) > scene.side / 6:
            ask("side", "left" if is_left else "right", thing=thing.name, other=other.name)
            ask("left of", "yes" if is_left else "no", thing=thing.name, other=other.name)
        one = rng.choice(single)
        ask("where", place_of(scene, one), thing=one.name)
    counted = rng.choice(things).name
    ask("count", NUMBERS[_times(things, counted)], things=plural(counted))
    painted = [thing for thing in things if thing.colour]
    if painted:
        one = rng.choice(painted)
        if len({thing.colour for thing in things if thing.name == one.name}) == 1:
            ask("colour", one.colour, thing=one.name if _times(things, one.name) == 1 else plural(one.name))
    ask("is there", "yes", a_thing=with_article(rng.choice(sorted(seen))))
    if absent := _another(rng, names, seen):
        ask("is there", "no", a_thing=with_article(absent))
    ask("describe", told(scene))
    return asked


def questions_of_one(name: str, names: Sequence[str], seed: int) -> list[Question]:
    """Questions about a picture of one thing, cut out or drawn, that fills it."""
    rng = random.Random(f"one {seed}")
    absent = _another(rng, names, {name})
    asked = [
        Question("what", rng.choice(WORDINGS["what"]), name),
        Question("describe", rng.choice(WORDINGS["describe"]), with_article(name)),
        Question("is there", rng.choice(WORDINGS["is there"]).format(a_thing=with_article(name)), "yes"),
    ]
    if absent:
        asked.append(Question("is there", rng.choice(WORDINGS["is there"]).format(a_thing=with_article(absent)), "no"))
    return asked


def as_typed(question: Question, rng: random.Random) -> Question:
    """As people type it: a third of the time without the capital, now and then without the mark at the end."""
    text = question.text
    if rng.random() < 1 / 3:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.1:
        text = text.rstrip("?.")
    return replace(question, text=text)


def place_of(scene: Scene, thing: Thing) -> str:
    """One of nine: "top left", "top", … "middle", … "bottom right"."""
    x, y = (min(int(3 * at / scene.side), 2) for at in thing.centre)
    across, down = ("left", "", "right")[x], ("top", "", "bottom")[y]
    return f"{down} {across}".strip() or "middle"


def told(scene: Scene) -> str:
    """ "two red cats and a dog", from left to right."""
    parts = []
    for name in dict.fromkeys(thing.name for thing in scene.things):
        same = [thing for thing in scene.things if thing.name == name]
        coloured = f"{same[0].colour} {name}".strip()
        parts.append(with_article(coloured) if len(same) == 1 else f"{NUMBERS[len(same)]} {plural(coloured)}")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def with_article(name: str) -> str:
    if name.endswith("s") and not name.endswith("ss"):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plural(name: str) -> str:
    if name.endswith("s") and not name.endswith("ss"):
        return name
    if name.endswith(("ch", "sh", "ss", "x", "z")):
        return name + "es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def _another(rng: random.Random, names: Sequence[str], seen: Collection[str]) -> str | None:
    """A name that none of the seen ones is, as a whole or by its last word; None where there is no other."""
    heads = {name.split()[-1] for name in seen}

    def other(name: str) -> bool:
        return name not in seen and name.split()[-1] not in heads

    if not any(map(other, names)):
        return None
    while not other(name := rng.choice(names)):
        pass
    return name


def _times(things: Sequence[Thing], name: str) -> int:
    return sum(thing.name == name for thing in things)


def _standing(at: int, of: int) -> str:
    if at == 0:
        return "on the left"
    return "on the right" if at == of - 1 else "in the middle"
