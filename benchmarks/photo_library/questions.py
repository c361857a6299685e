"""What is asked: more than 350 sentences, half Chinese, a fifth unanswerable, each with its meaning beside it.

Sentences are shapes (`shapes.py`) filled with things, places and times (`phrases.py`, `concepts.tsv`, `story.py`); the
meaning is built from the same parts as the sentence, never read off it. They are the same for every library. Half are
for choosing ("dev"), half are held out ("test"): no thing, town, journey or text is asked for on both sides, but for
people, who are left out on both.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from benchmarks.photo_library.asked import (
    Ask,
    asked_cameras,
    asked_kinds,
    asked_negations,
    asked_places,
    asked_small,
    asked_texts,
    asked_things,
    asked_times,
    places_and_things,
    times_and_places,
    times_and_things,
    times_places_things,
)
from benchmarks.photo_library.concepts import Side, concepts, unseen
from benchmarks.photo_library.rules import Rule, Shows
from benchmarks.photo_library.shapes import SHAPES, Language, QueryKind


@dataclass(frozen=True)
class Question:
    """`answerable`: whether the library has it. `shape`: which form its sentence has. `unseen`: whether the shipped
    embedder saw no picture of the things asked for in training; None where it saw some, or none are asked for."""

    sentence: str
    language: Language
    kind: QueryKind
    rule: Rule
    side: Side
    answerable: bool
    shape: str

    @property
    def unseen(self) -> bool | None:
        named = {part.name for part in self.rule.parts if isinstance(part, Shows)} & set(concepts())
        told = {unseen(name) for name in named}
        return told.pop() if len(told) == 1 else None


NUMBERS: dict[QueryKind, tuple[int, int]] = {
    "thing": (22, 8),
    "small thing": (6, 0),
    "time": (16, 2),
    "place": (12, 4),
    "text": (14, 3),
    "negation": (12, 2),
    "camera": (6, 2),
    "file kind": (6, 2),
    "time+thing": (14, 4),
    "place+thing": (14, 4),
    "time+place": (8, 2),
    "time+place+thing": (18, 6),
}
"""In each language: how many are answerable, how many not. Half of each on either side."""

_ASKED: dict[QueryKind, Callable[[Language], Iterable[Ask]]] = {
    "thing": asked_things,
    "small thing": asked_small,
    "time": asked_times,
    "place": asked_places,
    "text": asked_texts,
    "negation": asked_negations,
    "camera": asked_cameras,
    "file kind": asked_kinds,
    "time+thing": times_and_things,
    "place+thing": places_and_things,
    "time+place": times_and_places,
    "time+place+thing": times_places_things,
}


def questions() -> list[Question]:
    """The same list each time. Raises MissingPart without the stamps, of which the embedder's training is known."""
    found: list[Question] = []
    for kind, numbers in NUMBERS.items():
        for language in ("en", "zh"):
            asks = list(_ASKED[kind](language))
            random.Random(f"{kind} {language}").shuffle(asks)
            for answerable, number in zip((True, False), numbers, strict=True):
                for side, share in (("dev", (number + 1) // 2), ("test", number // 2)):
                    some = [ask for ask in asks if ask.side == side and ask.answerable == answerable]
                    found += _worded(list(islice(_varied(some), share)), kind, language)
    return found


def _varied(asks: Sequence[Ask]) -> Iterator[Ask]:
    """First those that share no subject with an earlier one."""
    used: set[str] = set()
    later = []
    for ask in asks:
        if ask.subject in used:
            later.append(ask)
        else:
            used.add(ask.subject)
            yield ask
    yield from later


def _worded(asks: Sequence[Ask], kind: QueryKind, language: Language) -> Iterator[Question]:
    shapes = SHAPES[kind][language]
    for at, ask in enumerate(asks):
        # the two sides and the unanswerable start at other shapes, so that few are filled often
        shape = ask.sentence or shapes[(at + 3 * (ask.side == "test") + 2 * (not ask.answerable)) % len(shapes)]
        sentence = shape.format(**ask.fillings) if ask.fillings else shape
        yield Question(sentence, language, kind, ask.rule, ask.side, ask.answerable, shape)
