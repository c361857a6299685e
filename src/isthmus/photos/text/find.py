"""Which photos hold a text, although it was read with small mistakes.

Spaces and line breaks do not count on either side: "no parking" is found in "NOPARKING" and on two lines. What is
found begins and ends where words do; a longer text may be a part of a longer word, and a letter of it may be wrong
(`nearly`). Figures are never taken for others. An FTS5 index gives the photos to look at; none is missed by that.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.photos.text.fold import words_of
from isthmus.photos.text.kept import lines_of
from isthmus.photos.text.lines import Line
from isthmus.photos.text.nearly import nearly, parts_of

if TYPE_CHECKING:
    from isthmus.photos.store import Library

GRAM = 3
"""FTS5's trigrams: what is shorter is looked up as words."""
PART = 4
"""The fewest letters that are found as the beginning or the end of a longer word."""
INSIDE = 6
"""The fewest that are found within one."""
WHOLE, WITHIN, NEARLY = 2, 1, 0


@dataclass(frozen=True)
class Match:
    """`score`: 2 to 3 where the text stands there as whole words, 1 to 2 where it is part of longer ones, 0 to 1 where
    it nearly does; among these by bm25, more is better. `lines`: those it stands in."""

    score: float
    lines: tuple[Line, ...]

    @property
    def snippet(self) -> str:
        return " / ".join(line.text for line in self.lines)


@dataclass(frozen=True)
class Held:
    """Where in a photo a text stands, and how (WHOLE, WITHIN, NEARLY): its lines from `first` to `last`."""

    how: int
    first: int
    last: int


def matches(library: "Library", text: str, photos: Container[int] | None = None) -> dict[int, Match]:
    """The photos in which `text` can be read, the best first; where given, of `photos` only.

    Any string will do: what has neither letters nor figures is found nowhere. Raises CorruptLibrary.
    """
    asked = words_of(text)
    found: dict[int, tuple[float, Held]] = {}
    for index, query in _queries(asked):
        for photo, bm25, words in look_up(library, index, query):
            if photo not in found and (photos is None or photo in photos) and (held := held_in(words, asked)):
                found[photo] = (held.how + relevance(bm25), held)
    lines = lines_of(library, found)
    ordered = sorted(found.items(), key=lambda each: (-each[1][0], each[0]))
    return {photo: Match(score, lines[photo][held.first : held.last + 1]) for photo, (score, held) in ordered}


def look_up(library: "Library", index: str, query: str) -> list[tuple[int, float, str]]:
    """(photo, bm25, its words) of an FTS5 query. In FTS5 less is more relevant."""
    return library.query(
        f"""SELECT t.photo, bm25({index}), t.words FROM {index} JOIN texts t ON t.photo = {index}.rowid
        WHERE {index} MATCH ?""",
        (query,),
    )


def relevance(bm25: float) -> float:
    """0 to 1."""
    return -bm25 / (1 - bm25)


def held_in(words: str, asked: list[str]) -> Held | None:
    """Where `asked` stands best in the folded words of a photo (`texts.words`)."""
    run, edges, breaks = _joined(words)
    wanted = "".join(asked)
    places = [(how, start, start + len(wanted)) for start, how in _places(wanted, run, edges)]
    if places:
        how, start, end = max(places, key=lambda place: place[0])
    elif place := nearly(wanted, run, edges):
        how, (start, end) = NEARLY, place
    else:
        return None
    return Held(how, sum(at <= start for at in breaks), sum(at < end for at in breaks))


def _queries(asked: list[str]) -> Iterator[tuple[str, str]]:
    """Of FTS5, each with its index: for those that hold the text, then for those that may nearly. A folded word has no
    quotation mark, so FTS5 sees nothing but a text in what is quoted."""
    wanted = "".join(asked)
    if len(wanted) >= GRAM:
        yield "text_runs", f'"{wanted}"'
        if parts := parts_of(wanted):
            yield "text_runs", " OR ".join(f'"{part}"' for part in parts)
    elif wanted:
        yield "text_words", f'"{" ".join(asked)}"'


def _joined(words: str) -> tuple[str, set[int], list[int]]:
    """The words without what separates them, the places where one ends or begins, and those where a line begins."""
    run: list[str] = []
    edges, breaks, length = {0}, [], 0
    for at, line in enumerate(words.split("\n")):
        if at:
            breaks.append(length)
        for word in line.split():
            run.append(word)
            length += len(word)
            edges.add(length)
    return "".join(run), edges, breaks


def _places(wanted: str, run: str, edges: Container[int]) -> Iterator[tuple[int, int]]:
    """Where `wanted` begins in `run`, and how it stands there."""
    start = run.find(wanted)
    while start >= 0:
        begins, ends = start in edges, start + len(wanted) in edges
        # 520 is not in 4520.
        cut = (wanted[0].isdigit() and not begins) or (wanted[-1].isdigit() and not ends)
        if begins and ends:
            yield start, WHOLE
        elif not cut and len(wanted) >= (PART if begins or ends else INSIDE):
            yield start, WITHIN
        start = run.find(wanted, start + 1)
