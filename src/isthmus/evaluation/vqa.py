"""VQA accuracy: an answer is right as far as people gave it too.

An answer that three of ten people gave is right. Against each nine of them it counts min(1, matches / 3), and the mean
of these is its accuracy. Source: VQA (Antol et al., 2015), section 5, and its released evaluation code, whose rules for
punctuation, number words, articles and contractions are followed to the letter, quirks included.

One rule is not: that code compares answers as they were typed where all ten agree. Here they are normalised then too,
as EvalAI's server does, so that "Yes." is right where ten people said "yes".
"""

import re
from collections.abc import Sequence

from isthmus.errors import InputError

ARTICLES = frozenset(("a", "an", "the"))
NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_MOST_PERIODS = 32
"""The released code hands a flag over where the count belongs: so many periods of an answer go, and no more."""

_WHOLE = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's
where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've
y'all y'all'll y'all'd've you'd you'd've you'll you're you've he'd
"""


def _contractions() -> dict[str, str]:
    """Each contraction, found by its spellings with one apostrophe left out."""
    found = {"somebody'd": "somebodyd"}
    for word in _WHOLE.split():
        found |= {word[:at] + word[at + 1 :]: word for at, letter in enumerate(word) if letter == "'"}
    return found


CONTRACTIONS = _contractions()


def normalise(answer: str) -> str:
    """The answer as it is compared: lower case, no articles, no punctuation, numbers to ten as digits."""
    text = answer.replace("\n", " ").replace("\t", " ").strip()
    return _words(_unpunctuated(text))


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """From 0 to 1: how far `people`, each of whom answered once, agree with `answer`.

    Raises InputError for fewer than four people: nobody could be fully right.
    """
    if len(people) < 4:
        raise InputError(
            f"VQA accuracy compares with the answers of several people, and here are {len(people)}",
            todo="give ten answers to each question, or use the metric exact",
        )
    said = normalise(answer)
    same = [normalise(each) == said for each in people]
    matches = sum(same)
    return sum(min(1.0, (matches - each) / 3) for each in same) / len(same)


def _unpunctuated(text: str) -> str:
    """A mark beside a space goes, one within a word becomes a space; but all go where a comma parts digits."""
    out = text
    grouped = _DIGIT_COMMA.search(text) is not None
    for mark in PUNCTUATION:
        loose = f"{mark} " in text or f" {mark}" in text or grouped
        out = out.replace(mark, "" if loose else " ")
    return _PERIOD.sub("", out, count=_MOST_PERIODS)


def _words(text: str) -> str:
    words = [NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
