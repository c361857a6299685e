"""The findings of a domain, and which of them a text names: a fracture, an effusion, a scratch.

A finding is its words, in any of its spellings, each of them whole, whatever the case and the punctuation: "T-shirt" is
"t shirt". Of findings that overlap the longest counts: "ankle boot" is no boot.

What is denied is not named. A denial reaches over at most REACH words to a finding, and from there to the next of its
list ("no fracture, effusion or a large dislocation"): behind a comma that one has to stand at once, behind "or" it has
REACH words again. It ends with its clause, or at a word of TURNS. A few words behind a finding deny it too ("fracture:
none"). Source: NegEx (Chapman et al., 2001), of which it is a small part. Its limits: words are compared as they are
spelled, so plurals and abbreviations are further spellings; what is likely or cannot be excluded counts as named;
denials are English and Chinese alone.
"""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from isthmus.errors import InputError
from isthmus.evaluation.captions import words

Words: TypeAlias = tuple[str, ...]
MOST = 50
"""So many different references may stand for the findings themselves."""
REACH = 5
COMMA = ","
_COMMA = re.compile("[,，、]")
_CLAUSE = re.compile(r"[;!?；！？。\n\r]|\.(?=\s|$)")
DENIALS = frozenset(
    tuple(each.split())
    for each in (
        "no", "not", "without", "never", "neither", "nor", "none", "denies", "cannot", "cant", "isnt", "arent", "wasnt",
        "werent", "doesnt", "dont", "didnt", "hasnt", "havent", "negative for", "free of", "free from", "absence of",
        "无", "没 有", "未 见", "未 发 现", "未 显 示", "不 见", "不 伴",
    )
)  # fmt: skip
"""Before what they deny."""
DENIED = frozenset(
    tuple(each.split())
    for each in (
        "absent", "none", "excluded", "ruled out", "not seen", "not present", "not identified", "not visible",
        "not evident", "not detected", "not found",
    )
)  # fmt: skip
"""Behind what they deny, at once or behind one of LINKS."""
OR = frozenset(("or", "nor", "或"))
LINKS = frozenset(("is", "are", "was", "were"))
TURNS = frozenset((
    "but", "however", "although", "though", "except", "yet", "while", "whereas", "only", "exclude", "excluded",
    "change", "changes", "changed", "increase", "decrease", "但",
))  # fmt: skip
"""They end what a denial reaches: "no fracture but an effusion", "no change of the fracture", "cannot exclude"."""
_LONGEST_DENIAL = max(map(len, DENIALS | DENIED))


@dataclass(frozen=True)
class Terms:
    """`names`: of each finding its first spelling. `spellings`: each's, as words. `source`: where they are from."""

    names: tuple[str, ...]
    spellings: tuple[tuple[Words, ...], ...]
    source: str
    _at: dict[Words, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises InputError where a finding has no word, or two share a spelling."""
        at: dict[Words, int] = {}
        for number, (name, spelled) in enumerate(zip(self.names, self.spellings, strict=True)):
            for each in spelled:
                if not each:
                    raise InputError(
                        f"{self.source}: the finding {name!r} has a spelling without a word", todo="take it out"
                    )
                other = at.setdefault(each, number)
                if other != number:
                    raise InputError(
                        f"{self.source}: {' '.join(each)!r} is both {self.names[other]!r} and {name!r}",
                        todo="give each spelling to one finding",
                    )
        if not at:
            raise InputError(f"{self.source} holds no finding", todo="write one a line, spellings parted by |")
        object.__setattr__(self, "_at", at)

    def named(self, text: str) -> frozenset[int]:
        """The findings that the text names and does not deny, by number."""
        return frozenset(found for clause in _CLAUSE.split(text) for found in self._in(_with_commas(clause)))

    def _in(self, said: Words) -> Iterable[int]:
        longest = max(map(len, self._at))
        at, reach, listed = 0, 0, False  # reach: how many words further a denial goes; listed: it goes behind a comma
        while at < len(said):
            term = _longest(said, at, self._at, longest)
            denial = _longest(said, at, DENIALS, _LONGEST_DENIAL)
            if term:
                denied = reach > 0 or listed
                if not denied and not _denied_behind(said, at + len(term)):
                    yield self._at[term]
                reach, listed = (
                    REACH if denied or denial else 0,
                    False,
                )  # a finding may be a denial itself: "no finding"
            elif denial:
                reach, listed = REACH, False
            elif said[at] == COMMA:
                reach, listed = 0, listed or reach > 0
            elif said[at] in TURNS:
                reach, listed = 0, False
            elif listed and said[at] in OR:
                reach, listed = REACH, False
            else:
                reach, listed = max(0, reach - 1), False
            at += max(1, len(term or denial))


def read_terms(path: Path) -> Terms:
    """A finding a line, its spellings parted by "|", lines that begin with # left out; or YAML (.yaml, .yml, .json): a
    list of such lines, or findings with lists of further spellings. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read", why=error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8", why=str(error)) from None
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        return _terms(_from_yaml(text, path), str(path))
    lines = [line.strip() for line in text.splitlines()]
    return _terms([line.split("|") for line in lines if line and not line.startswith("#")], str(path))


def terms_of(references: Iterable[str]) -> Terms:
    """The references themselves, where they are few. Raises InputError for more than MOST different ones."""
    found: dict[Words, str] = {}
    for each in references:
        if said := _plain(each):
            found.setdefault(said, each.strip())
    if len(found) > MOST:
        raise InputError(
            f"the references hold {len(found)} different answers",
            why=f"no more than {MOST} can be taken for the findings",
            todo="give --findings FILE, one finding a line",
        )
    return Terms(tuple(found.values()), tuple((each,) for each in found), "the references")


def _from_yaml(text: str, path: Path) -> list[list[str]]:
    try:
        read: Any = yaml.load(text, Loader=yaml.BaseLoader)  # all are words: the finding "no" is not False
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML", why=str(error)) from None
    if isinstance(read, dict):
        read = [[name, *_several(others)] for name, others in read.items()]
    if not isinstance(read, list):
        raise InputError(f"{path} holds no findings", todo="write a list of them, or findings with lists of spellings")
    return [[part for one in _several(each) for part in str(one).split("|")] for each in read]


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _terms(findings: Sequence[Sequence[str]], source: str) -> Terms:
    names = tuple(next(iter(spelled), "").strip() for spelled in findings)
    return Terms(names, tuple(tuple(dict.fromkeys(map(_plain, each))) for each in findings), source)


def _plain(text: str) -> Words:
    """As it is compared: the words of a caption, without apostrophes, and parted at hyphens."""
    return tuple(part for word in words(text) for part in word.replace("'", "").split("-"))


def _with_commas(clause: str) -> Words:
    """As it is compared, with a mark between what commas part."""
    first, *others = map(_plain, _COMMA.split(clause))
    return (*first, *(word for each in others for word in (COMMA, *each)))


def _longest(said: Words, at: int, among: Container[Words], longest: int) -> Words:
    """The longest of `among` that begins there; () for none."""
    for size in range(min(longest, len(said) - at), 0, -1):
        if said[at : at + size] in among:
            return said[at : at + size]
    return ()


def _denied_behind(said: Words, at: int) -> bool:
    at += at < len(said) and said[at] in LINKS
    return bool(_longest(said, at, DENIED, _LONGEST_DENIAL))
