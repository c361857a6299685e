"""Texts from files of unknown makers: decoded, without control characters, and of bounded length."""

import re
from collections.abc import Iterable

CAPTION, LINE, KEYWORD = 2_000, 200, 100
"""Characters kept of a caption, of any other text, and of a keyword or a name."""

MAX_WORDS, MAX_PROBLEMS = 500, 40
"""Keywords (or names) kept, and problems told."""

# C0, C1, line separators, surrogates, and the marks that turn the direction of the text behind them: a caption must
# not reorder the page it is shown on. Joiners stay, for emoji and Persian need them.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(_CONTROL.pattern.replace("\0-\x1f", "\0-\x08\x0b-\x1f"))


class Problems:
    """What was there but not usable, one short line each; the same line once."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def add(self, line: str) -> None:
        if len(self._lines) < MAX_PROBLEMS:
            self._lines[clean(line)] = None

    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)


def decoded(data: bytes) -> str:
    """UTF-8, as the MWG asks for (2.0), or else Latin-1, as older writers left it; up to the first NUL."""
    data = data.split(b"\0", 1)[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def clean(text: str, limit: int = LINE) -> str:
    """One line without control characters, at most `limit` characters."""
    return " ".join(_CONTROL.sub(" ", text[: 8 * limit]).split())[:limit].rstrip()


def caption(text: str, what: str, problems: Problems) -> str:
    """Like `clean`, but its lines stay."""
    lines = _CONTROL_BUT_LINES.sub("", text[: 8 * CAPTION].replace("\r\n", "\n").replace("\r", "\n")).strip()
    if len(lines) > CAPTION:
        problems.add(f"{what} of {len(text):,} characters: the first {CAPTION:,} are kept")
    return lines[:CAPTION].rstrip()


def words(texts: Iterable[str], what: str, problems: Problems) -> tuple[str, ...]:
    """Each text once, whatever its case, in order."""
    kept: dict[str, str] = {}
    for text in texts:
        word = clean(text, KEYWORD)
        if not word or word.casefold() in kept:
            continue
        if len(kept) == MAX_WORDS:
            problems.add(f"more than {MAX_WORDS} {what}: the first {MAX_WORDS} are kept")
            break
        if len(text) > KEYWORD and len(" ".join(text.split())) > KEYWORD:
            problems.add(f"one of the {what} has {len(text):,} characters: the first {KEYWORD} are kept")
        kept[word.casefold()] = word
    return tuple(kept.values())
