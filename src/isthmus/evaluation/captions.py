"""Captions against those that people wrote: CIDEr and BLEU-4.

Captions are cut into words by `words`, not by Stanford's PTB tokenizer, which needs Java. The two differ in clitics
("isn't" is one word here, "is n't" there) and in Chinese and Japanese, which are cut into characters here; scores are
comparable among those made here and close to, but not equal to, published ones.

CIDEr weighs word groups by how many of the captions hold them: it depends on the whole set, and of a single picture it
is 0. Sources: CIDEr (Vedantam et al., 2015), by pycocoevalcap; BLEU (Papineni et al., 2002), by sacrebleu.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InputError, MissingPart

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff"
_WORD = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+(?:['’-][^\W_{_HAN}]+)*")


def words(caption: str) -> list[str]:
    """Lower-case words without punctuation; a Chinese character or Japanese kana is a word of its own."""
    return _WORD.findall(unicodedata.normalize("NFKC", caption).lower().replace("’", "'"))


def cider(captions: Sequence[str], people: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """[N] scores from 0 to 10, one a picture; their mean is the set's CIDEr (papers print 100 times as much).

    `people`: the captions that people wrote for each picture, at least one. Raises MissingPart without pycocoevalcap,
    InputError where no caption of theirs has a word.
    """
    try:
        from pycocoevalcap.cider.cider import Cider
    except ImportError:
        raise _missing("CIDEr", "pycocoevalcap") from None
    expected = {at: [" ".join(words(each)) for each in written] for at, written in enumerate(people)}
    if not any(each for written in expected.values() for each in written):
        raise InputError("there is no caption to compare with", todo="give at least one with words in it")
    given = {at: [" ".join(words(caption))] for at, caption in enumerate(captions)}
    _, scores = Cider().compute_score(expected, given)
    return np.asarray(scores, dtype=np.float64)


def bleu_counts(captions: Sequence[str], people: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """[N, 10]: of each caption the matching and all word groups of one to four words, its length and that of the
    nearest of people's. Their sums make the BLEU of any set of pictures (`bleu`). Raises MissingPart without sacrebleu.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise _missing("BLEU", "sacrebleu") from None
    metric = BLEU(tokenize="none", effective_order=True)
    rows = []
    for caption, written in zip(captions, people, strict=True):
        one = metric.sentence_score(" ".join(words(caption)), [" ".join(words(each)) for each in written])
        rows.append([*one.counts, *one.totals, one.sys_len, one.ref_len])
    return np.array(rows, dtype=np.float64).reshape(len(rows), 10)


def bleu(sums: NDArray[np.float64]) -> float:
    """BLEU-4 from 0 to 100 of summed `bleu_counts`, [10]; a mean of several sums is rounded."""
    from sacrebleu.metrics.bleu import BLEU

    whole = [round(float(each)) for each in sums]
    if not whole[8]:
        return 0.0
    return float(BLEU.compute_bleu(whole[:4], whole[4:8], whole[8], whole[9], smooth_method="exp").score)


def _missing(metric: str, package: str) -> MissingPart:
    return MissingPart(f"{metric} needs {package}", todo="pip install 'isthmus[evaluate]'")
