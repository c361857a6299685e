"""What an instruction-aware connector reads beside a picture: the question, in ids of its own tokenizer.

Source: InstructBLIP (Dai et al., 2023), section 2.3.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from isthmus.connectors.connector import Text
from isthmus.errors import InputError
from isthmus.messages import Message
from isthmus.vlm.prompt_tokenizer import PromptTokenizer
from isthmus.vlm.template import ControlPiece, TextPiece

Question: TypeAlias = tuple[int, ...]
"""Ids of the connector's tokenizer; empty where it reads no text."""


class QuestionTokenizer:
    """`tokenizer`: a BERT's, of `transformers`. Typed text forges no [SEP]. Raises InputError for another kind."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._prompts = PromptTokenizer(tokenizer)
        opens, closes = tokenizer.cls_token, tokenizer.sep_token
        if opens is None or closes is None:
            raise InputError("the question's tokenizer is no BERT's", why="it has no [CLS] or no [SEP]")
        self._around = ControlPiece(opens, "user", opens=True), ControlPiece(closes, "user")

    def __call__(self, messages: Sequence[Message]) -> Question:
        """What the user says in these messages, between [CLS] and [SEP]."""
        said = " ".join(message.text.strip() for message in messages if message.role == "user" and message.text.strip())
        opens, closes = self._around
        return tuple(placed.id for placed in self._prompts.encode([opens, TextPiece(said, "user"), closes]))


class LastQuestion:
    """`tokenizer`: the language model's own, of `transformers`. `longest`: so many of the last tokens are taken. Typed
    text forges no control token."""

    def __init__(self, tokenizer: Any, longest: int) -> None:
        self.tokenizer, self.longest = tokenizer, longest

    def __call__(self, messages: Sequence[Message]) -> Question:
        """What the user said last in these messages."""
        said = next((m.text.strip() for m in reversed(messages) if m.role == "user" and m.text.strip()), "")
        ids = self.tokenizer(said, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return tuple(ids[-self.longest :])


def text_of(questions: Sequence[Question], device: torch.device) -> Text | None:
    """The questions of B pictures, right-padded with 0; None where there are none."""
    if not any(questions):
        return None
    rows: list[Tensor] = [torch.tensor(question, dtype=torch.long) for question in questions]
    ids = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return Text(ids.to(device), (torch.arange(ids.shape[1]) < lengths[:, None]).to(device))
