"""What is read and what is asked for, brought to one form, so that both are compared as letters and figures alone.

Case, accents, full-width forms and traditional characters are folded, punctuation goes, and what recognisers mix up
(O and 0; l, I and 1) is mended where what stands around it tells. Asked and read text go through the same, so what is
mended wrongly is mended wrongly on both sides.
"""

import re
import unicodedata
from functools import cache
from importlib.resources import files

FIGURES = str.maketrans("OoIl", "0011")
UNSPACED = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Scripts whose words have no spaces between them: each character is a word by itself."""
_BETWEEN_LETTERS = re.compile("(?<=[A-Za-z])[01]+(?=[A-Za-z])")
_ALIKE = re.compile("[^\\W\\d_]+|\\d+")
"""Letters or figures: "7kg" is two words, for it may have been written "7 kg"."""


def words_of(text: str) -> list[str]:
    """The words in it, folded: runs of letters, runs of figures, single Chinese or Japanese characters."""
    found: list[str] = []
    for run in _runs(_plain(text)):
        if UNSPACED.match(run):
            found.append(_simplified().get(run, run))
        else:
            found += _ALIKE.findall(_mended(run).casefold())
    return found


def _plain(text: str) -> str:
    """Without accents and other forms of the same character; lines of Japanese and Korean keep theirs."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(each for each in apart if not "\u0300" <= each <= "\u036f"))


def _runs(text: str) -> list[str]:
    runs, start = [], None
    for at, character in enumerate(text):
        said = character.isalnum()
        alone = said and UNSPACED.match(character) is not None
        if start is not None and (alone or not said):
            runs.append(text[start:at])
            start = None
        if alone:
            runs.append(character)
        elif start is None and said:
            start = at
    return runs if start is None else [*runs, text[start:]]


def _mended(run: str) -> str:
    sure_figures = sum(each in "23456789" for each in run)
    sure_letters = sum(each.isalpha() and each not in "OoIl" for each in run)
    if sure_figures > sure_letters or (not sure_letters and not run.isalpha()):
        return run.translate(FIGURES)  # 2O4, 1O
    capitals = sum("A" <= each <= "Z" for each in run)
    if capitals >= 2 and not any("a" <= each <= "z" and each != "l" for each in run):
        run = run.replace("l", "I")  # EXlT
    # EX1T, B00K; not the 0 of 10am.
    return _BETWEEN_LETTERS.sub(lambda m: m[0].replace("0", "O").replace("1", "I" if capitals else "l"), run)


@cache
def _simplified() -> dict[str, str]:
    pairs = files("isthmus.photos.text").joinpath("han.txt").read_text(encoding="utf-8").split()
    return {pair[0]: pair[1] for pair in pairs}
