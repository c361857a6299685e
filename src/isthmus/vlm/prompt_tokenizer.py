"""Pieces to token ids: as the tokenizer would do with the whole text, except that typed text forges no control token.

A tokenizer looks for the spelling of its special tokens anywhere, so a question about "<|im_end|>" ends a turn. Here a
copy of it is used in which each special token has a spelling of its own, made of code points that are never text
(U+FDD0 and U+FDD1). The pieces are joined with these spellings and tokenized at once: every id is the tokenizer's own,
and character offsets tell which piece each token came from. No token is ever searched for or counted back.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from isthmus.errors import InputError
from isthmus.vlm.template import ControlPiece, TextPiece

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_PICTURE = _OPEN + _CLOSE
PICTURE = -1
"""In place of an id: here stands a token of a picture."""


@dataclass(frozen=True)
class Run:
    """`count` tokens of a picture in a row."""

    count: int


class Placed(NamedTuple):
    """A token and the piece it came from. `id` is PICTURE for the whole of a Run."""

    id: int
    piece: int


class PromptTokenizer:
    """`tokenizer`: one of `transformers`, backed by the `tokenizers` library. Raises InputError for another."""

    def __init__(self, tokenizer: Any) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise InputError(
                f"the tokenizer {type(tokenizer).__name__} cannot be used",
                why="it is not backed by the tokenizers library",
                todo="save it with a tokenizer.json",
            )
        self._controls, self._tokenizer, self._ids = _with_own_spellings(backend)

    def control(self, token: str) -> int | None:
        """The id of a control token, None where `token` is none."""
        return self._controls.get(token)

    def encode(self, pieces: Sequence[TextPiece | ControlPiece | Run]) -> list[Placed]:
        """The tokens of all pieces in order, each with the number of its piece.

        A token that reaches over the border of two pieces counts to the later one: its last character decides.
        Raises InputError where the vocabulary lacks a control token, or text holds U+FDD0 or U+FDD1.
        """
        placed: list[Placed] = []
        start = 0
        for at, piece in enumerate(pieces):
            if isinstance(piece, ControlPiece) and piece.opens:
                placed += self._encode(pieces[start:at], start)
                placed.append(Placed(self._control(piece), at))
                start = at + 1
        return placed + self._encode(pieces[start:], start)

    def _encode(self, pieces: Sequence[TextPiece | ControlPiece | Run], first: int) -> list[Placed]:
        spelled = [self._spell(piece) for piece in pieces]
        encoding = self._tokenizer.encode("".join(spelled), add_special_tokens=False)
        stops = list(accumulate(len(text) for text in spelled))
        placed, at = [], 0
        for id_, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True):
            # A word mark that stands for no character is as wide as nothing, and belongs to what follows it.
            last = max(start, stop - 1)
            while at < len(stops) - 1 and last >= stops[at]:
                at += 1
            placed.append(Placed(self._ids.get(id_, id_), first + at))
        return placed

    def _spell(self, piece: TextPiece | ControlPiece | Run) -> str:
        match piece:
            case Run():
                return _PICTURE
            case ControlPiece():
                return f"{_OPEN}{self._control(piece)}{_CLOSE}"
            case TextPiece(text):
                if _OPEN in text or _CLOSE in text:
                    raise InputError("the text holds U+FDD0 or U+FDD1", why="these are no characters", todo="drop them")
                return text

    def _control(self, piece: ControlPiece) -> int:
        id_ = self._controls.get(piece.token)
        if id_ is None:
            raise InputError(
                f"the tokenizer has no token {piece.token}",
                why="the prompt template asks for it",
                todo="use the template that the language model was trained with",
            )
        return id_


def _with_own_spellings(backend: Tokenizer) -> tuple[dict[str, int], Tokenizer, dict[int, int]]:
    """Control tokens and their ids; a copy in which each is spelled otherwise; and the copy's ids of them -> the true
    ones. Added tokens that are mere white space (runs of blanks in code models) are text and stay."""
    settings = json.loads(backend.to_str())
    added = settings["added_tokens"]
    controls = {token["content"]: token["id"] for token in added if token["content"].strip()}
    for token in added:
        if token["content"] in controls:
            token["content"] = f"{_OPEN}{token['id']}{_CLOSE}"
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added.append({**plain, "id": backend.get_vocab_size(), "content": _PICTURE})
    settings.update(post_processor=None, truncation=None, padding=None)
    _forbid(settings["model"], controls)
    copy = Tokenizer.from_str(json.dumps(settings))
    spelled = {_PICTURE: PICTURE} | {f"{_OPEN}{id_}{_CLOSE}": id_ for id_ in controls.values()}
    ids = {
        id_: spelled[token.content]
        for id_, token in copy.get_added_tokens_decoder().items()
        if token.content in spelled
    }
    return controls, copy, ids


def _forbid(model: dict[str, Any], controls: dict[str, int]) -> None:
    """The vocabularies of SentencePiece list control tokens as if they were words: text must not be cut into them."""
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if _merged(pair) not in controls]
    if model["type"] == "Unigram":
        model["vocab"] = [[word, -1e6 if word in controls else score] for word, score in model["vocab"]]


def _merged(pair: list[str] | str) -> str:
    return pair.replace(" ", "", 1) if isinstance(pair, str) else "".join(pair)
