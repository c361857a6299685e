"""What a picture of one thing is called: a short name out of its caption, or none where the caption tells a story."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from isthmus.training.data.sources import Sample

_ARTICLE = re.compile(
    r"^((a|one|two) (pairs?|bunch|cluster|set)s? of|(it's )?an?|the|some|one|this|two|these|our)\s+", re.I
)
# what a caption goes on to tell behind the name: "A caribou in snow", "A pawn can only move forward"
_STORY = re.compile(
    r"\s+(is|are|was|can|used|in|on|with|at|from|to|that|which|who|standing|sitting|flying|eating|resembling|for)\b.*$",
    re.I | re.S,
)
MOST_WORDS = 3
MOST_ICONS = 4


def name_of(caption: str) -> str:
    """ "A caribou in snow." -> "caribou"; "" where no name of one to three words can be read off."""
    said = re.sub(r"\(.*?\)|[“”\"!.]", "", caption).strip()
    said = re.split(r"[,;:–—?]", said)[0].strip()
    said = _STORY.sub("", said)
    for _ in range(2):
        said = _ARTICLE.sub("", said)
    said = said.strip(" '’")
    words = said.split()
    plain = "your" not in words and all(re.fullmatch(r"[^\W\d_]+(['’\-][^\W\d_]+)*", word) for word in words)
    return said.lower() if plain and 1 <= len(words) <= MOST_WORDS and len(said) > 1 else letter_of(said)


def is_lettering(name: str) -> bool:
    """Whether the picture is of a letter or a digit: mirrored it would be another one, and "q" is not its head noun."""
    return name.startswith(("letter", "number"))


def letter_of(said: str) -> str:
    """ "letter Q" -> "letter q"; so that single letters keep the word that says what they are."""
    found = re.fullmatch(r"(?:capital |small )?letter (\w)", said, re.I)
    return f"letter {found[1].lower()}" if found else ""


def common_names(samples: Sequence[Sample], *, least: int = 3) -> dict[Sample, str]:
    """The samples whose name consists of words that at least `least` captions use, with that name.

    Titles of clip art are often file names and authors; words no one else uses give them away.
    """
    used = Counter(
        word for sample in samples for word in set(re.findall(r"[^\W\d_]+", " ".join(sample.captions).lower()))
    )
    named = {}
    for sample in samples:
        name = name_of(sample.captions[0])
        if name and all(used[word] >= least for word in re.findall(r"[^\W\d_]+", name)):
            named[sample] = name
    return named


def shared_name(name: str, drawings: Mapping[str, int]) -> str:
    """The longest ending of the name that at least two drawings bear: "toy rocket" -> "rocket" where only one rocket is
    a toy. What a single drawing is called beside cannot be learned from it. `drawings`: of each ending, how many."""
    if is_lettering(name):
        return name
    return next((ending for ending in endings(name) if drawings.get(ending, 0) >= 2), name)


def icon_names(icons: Sequence[Sample], drawings: Mapping[str, int]) -> dict[Sample, str]:
    """The icons that are called like something else that is drawn, with that name; MOST_ICONS of each package.
    "dog face" is a dog's. `drawings`: of each ending, how many others bear it."""
    named = {}
    times: Counter[tuple[Path, str]] = Counter()
    for icon in icons:
        name = name_of(icon.captions[0])
        whose = name.removesuffix(" face")
        shared = shared_name(whose if drawings.get(whose, 0) >= 2 else name, drawings)
        if drawings.get(shared, 0) >= 2:
            package = icon.path.parent
            times[package, shared] += 1
            if times[package, shared] <= MOST_ICONS:
                named[icon] = shared
    return named


def class_names(classes: Sequence[Sequence[str]], drawings: Mapping[str, int]) -> tuple[str, ...]:
    """What each of a classifier's classes is called in everyday words: the longest ending of its name that at least
    two classes or drawings bear, or else its name. "tabby, tabby cat" and "Egyptian cat" are both "cat". Of its other
    names only those count that begin with the first: others may be rare or mean something else ("promontory, head").
    `drawings`: of each ending, how many."""
    named = [[name.lower() for name in names if name.lower().startswith(names[0].lower())] for names in classes]
    bearing = Counter(drawings)
    for names in named:
        bearing.update({ending for name in names for ending in endings(name)})
    return tuple(
        next((end for name in names for end in endings(name) if bearing[end] >= 2 and len(end) > 1), names[0])
        for names in named
    )


def endings(name: str) -> list[str]:
    """ "toy rocket" -> "toy rocket", "rocket"."""
    words = name.split()
    return [" ".join(words[at:]) for at in range(len(words))]


def same_thing(said: str, name: str) -> bool:
    """Whether an answer names the thing: the same words but for articles and plurals, or its head noun alone.

    "a red apple", "apples" and "apple" all name a "red apple"; "red" does not, nor does "apple core".
    """
    answer, wanted = _words(said), _words(name)
    return bool(answer) and (answer == wanted or answer == wanted[-1:] or answer[-len(wanted) :] == wanted)


def _words(text: str) -> list[str]:
    words = [w for w in re.findall(r"[^\W\d_]+", text.lower()) if w not in {"a", "an", "the", "some", "of"}]
    return [_singular(word) for word in words]


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
