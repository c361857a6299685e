"""Where a sentence names what the library knows: people, pets, things."""

import re
from collections.abc import Iterator

from isthmus.photos.query.fold import fold, is_han
from isthmus.photos.query.found import Found
from isthmus.photos.query.model import Names, Vocabulary

# Names that are words too: with a small letter they are names only after "with", "of", "and" or "without".
_WORDS = re.compile(
    "may|will|rose|mark|grace|art|bill|joy|hope|lily|daisy|sunny|max|faith|rich|frank|jack|june|april|august|"
    "summer|pat|rob|drew|chase|hunter|iris|ivy|jade|jasmine|olive|pearl|ruby|violet|amber|ginger|poppy|coco|"
    "pepper|lucky|buddy|bear|tiger|snow|sky|star|angel|brownie|cookie|oreo|peanut|shadow|smokey|socks|misty|"
    "dawn|eve|gene|guy|harry|ray|rusty|sandy|sue|tom|victor|wade|warren|bob|nick|penny|miles|cliff|dean|earl|"
    "glen|heath|lane|reed|robin|wren|basil|clay|dale|jay|biscuit|honey|sugar|candy|princess|prince|king|queen|"
    "duke|baron"
)
_BEFORE_NAME = re.compile(
    r"(?:with|of|and|or|without|featuring|showing|including|not|no|except|my|our|by|for)\s+(?:my |our )?$|[&+,]\s*$"
)
_PRONOUN = re.compile(r" (?:i|you|we|he|she|it|they|there|not)(?![a-z])")
_OR = re.compile(r"\s*(?:or|/|或者?|还是)\s*")


def find(text: str, sentence: str, vocabulary: Vocabulary) -> Iterator[Found]:
    """Known names, the longest first; "Rex or Anna" is one condition that either satisfies."""
    by_name: dict[str, list[str]] = {}
    for entry in vocabulary.names:
        for alias in (entry.name, *entry.aliases):
            if folded := fold(alias.strip()):
                by_name.setdefault(folded, []).append(entry.name)
    if not by_name:
        return
    longest_first = sorted(by_name, key=len, reverse=True)
    pattern = re.compile("|".join(bounded(name) for name in longest_first))
    matches = [(m.start(), m.end(), by_name[m[0]]) for m in pattern.finditer(text)]
    n = 0
    while n < len(matches):
        start, end, names = matches[n]
        if (
            sentence[start:end].islower()
            and _WORDS.fullmatch(text[start:end])
            and not _BEFORE_NAME.search(text[:start])
        ):
            n += 1
            continue
        # "May flowers": any word begins a sentence with a capital, so this one stays in the vector text.
        first = not text[:start].strip() and _WORDS.fullmatch(text[start:end]) is not None
        if first and _PRONOUN.match(text, end):
            n += 1
            continue
        any_of = list(names)
        while n + 1 < len(matches) and _OR.fullmatch(text[end : matches[n + 1][0]]):
            n += 1
            end = matches[n][1]
            any_of += matches[n][2]
        note = f"“{sentence[start:end]}” is also a word" if first else ""
        yield Found(start, end, Names(tuple(dict.fromkeys(any_of))), keep_words=first, note=note)
        n += 1


def bounded(name: str) -> str:
    before = "" if is_han(name[0]) else r"(?<![^\W\d_])(?<!\d)"
    after = "" if is_han(name[-1]) else r"(?![\w-])"
    return before + re.escape(name) + after
