"""Photos whose files say what is looked for: title, caption and keywords, by whole words whatever their ending.

What a person wrote of a photo is better evidence than what a model sees in it. An FTS5 index over `facts.said` answers;
words are folded as text in pictures is (`text.fold`), so each Chinese character is a word, and English ones lose
their endings (Porter's stemmer, in SQLite).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isthmus.photos.text.fold import words_of

if TYPE_CHECKING:
    from isthmus.photos.gloss import Gloss
    from isthmus.photos.store import Library

SAY_NOTHING = frozenset(
    [
        "a",
        "an",
        "the",
        "some",
        "any",
        "this",
        "that",
        "these",
        "those",
        "of",
        "in",
        "on",
        "at",
        "by",
        "with",
        "from",
        "to",
        "for",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "it",
        "its",
        "my",
        "our",
        "his",
        "her",
        "their",
        "your",
        "very",
    ]
)
"""English words without which a phrase means the same here."""


def folded(title: str, caption: str, keywords: Iterable[str]) -> str:
    """As it is kept: folded words, what was said apart a line each, so that no phrase goes across."""
    return "\n".join(" ".join(words_of(each)) for each in (title, caption, *keywords) if each)


def saying(library: "Library", words: str, glossed: "Gloss | None" = None) -> NDArray[np.int64]:
    """Photos, ascending, of which a file says all of the words, or all that Chinese ones were taken for.

    Any string will do; where nothing is left of it but words that say nothing, no photo does. Raises CorruptLibrary.
    """
    asked = {_query(_telling(words))}
    if glossed is not None:
        asked |= {_query(_telling(glossed.text)), _query(word for word, _ in glossed.words)}
    asked.discard("")
    if not asked:
        return np.empty(0, np.int64)
    rows = library.query(
        """SELECT DISTINCT f.photo FROM said_words s JOIN files f ON f.id = s.rowid
        WHERE said_words MATCH ? AND f.gone_at IS NULL AND f.photo IS NOT NULL ORDER BY f.photo""",
        (" OR ".join(f"({query})" for query in sorted(asked)),),
    )
    return np.array([photo for (photo,) in rows], np.int64)


def _telling(words: str) -> list[str]:
    found = [word for word in words.split() if word.strip(".,;:!?").lower() not in SAY_NOTHING]
    return found if any(map(words_of, found)) else []


def _query(words: Iterable[str]) -> str:
    """Of FTS5: all of the words, in any order, one of several characters or parts as a phrase. A folded word has no
    quotation mark."""
    phrases = [" ".join(words_of(word)) for word in words]
    return " AND ".join(f'"{phrase}"' for phrase in dict.fromkeys(phrases) if phrase)
