"""How well photos' text goes with the words of a query, any of them: for ranking, where `find` is for conditions."""

from collections.abc import Container
from itertools import pairwise
from typing import TYPE_CHECKING

from isthmus.photos.text.find import Match, look_up, relevance
from isthmus.photos.text.fold import UNSPACED, words_of
from isthmus.photos.text.kept import lines_of

if TYPE_CHECKING:
    from isthmus.photos.store import Library


def ranked(library: "Library", words: str, photos: Container[int] | None = None) -> dict[int, Match]:
    """Photos whose text has any of the words, the best by bm25 first; where given, of `photos` only. Scores are 0 to 1.

    Chinese, which does not separate words, is looked up by pairs of characters. Any string will do. Raises
    CorruptLibrary.
    """
    terms = terms_of(words)
    if not terms:
        return {}
    query = " OR ".join(f'"{term}"' for term in terms)
    found: dict[int, tuple[float, list[int]]] = {}
    for photo, bm25, kept in look_up(library, "text_words", query):
        if photos is None or photo in photos:
            with_any = [
                at for at, line in enumerate(kept.split("\n")) if any(f" {term} " in f" {line} " for term in terms)
            ]
            found[photo] = (relevance(bm25), with_any)
    lines = lines_of(library, found)
    ordered = sorted(found.items(), key=lambda each: (-each[1][0], each[0]))
    return {photo: Match(score, tuple(lines[photo][at] for at in with_any)) for photo, (score, with_any) in ordered}


def terms_of(words: str) -> list[str]:
    """What is looked up: words as they are, runs of Chinese characters as their pairs, each once."""
    terms: list[str] = []
    run: list[str] = []
    for word in [*words_of(words), ""]:
        if UNSPACED.match(word):
            run.append(word)
            continue
        terms += [" ".join(pair) for pair in pairwise(run)] if len(run) > 1 else run
        run = []
        if word:
            terms.append(word)
    return list(dict.fromkeys(terms))
