"""Sentences of a few dozen words as ids, a word each: for Q-Formers too small for a real tokenizer's table."""

from collections.abc import Sequence

import torch
from torch import Tensor

from isthmus.connectors.connector import Text

FIRST, START, END = "[CLS]", "[DEC]", "[END]"
"""Each sentence begins with FIRST, which generation replaces by START, and ends with END."""
_SPECIAL = ("[PAD]", FIRST, START, END)


class Words:
    """The vocabulary of all words of `sentences`, in alphabetical order."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.all = (*_SPECIAL, *sorted({word for sentence in sentences for word in sentence.split()}))
        self._ids = {word: at for at, word in enumerate(self.all)}

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, word: str) -> int:
        return self._ids[word]

    def text(self, sentences: Sequence[str]) -> Text:
        """B sentences -> ids and mask [B, T], padded to the longest. Raises KeyError for an unknown word."""
        rows = [[self._ids[word] for word in (FIRST, *sentence.split(), END)] for sentence in sentences]
        longest = max(len(row) for row in rows)
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        return Text(ids, torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None])

    def sentences(self, ids: Tensor) -> list[str]:
        """[B, T] -> what stands before each one's END, special words left out."""
        found = []
        for row in ids.tolist():
            words = [self.all[at] for at in row]
            words = words[: words.index(END)] if END in words else words
            found.append(" ".join(word for word in words if word not in _SPECIAL))
        return found
