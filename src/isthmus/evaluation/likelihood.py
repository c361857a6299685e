"""How likely a language model finds a text behind another one.

Notation: B texts, T tokens, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.evaluation.speaker import Speaker
from isthmus.progress import SILENT, Progress
from isthmus.vlm.template import TextPiece

TOKENS = 1024
"""Read at once: a vocabulary of 50,000 makes 200 MB of logits of them."""


@dataclass(frozen=True)
class Likelihood:
    """`bits`: -log2 of the text's probability. `tokens` and `bytes` (UTF-8): of the text alone, without its context."""

    bits: float
    tokens: int
    bytes: int


@dataclass(frozen=True)
class _Row:
    ids: list[int]
    start: int
    """The first token of the text."""
    bytes: int


@torch.no_grad()
def likelihoods(speaker: Speaker, texts: Sequence[tuple[str, str]], *, reporter: Progress = SILENT) -> list[Likelihood]:
    """Of each text behind its context, neither of them empty: (context, text).

    Tokens are those of both written together; one that reaches over the border counts to the text. A text that
    exceeds the model's context is shortened, and its bytes are those that are left. Texts of about equal length are
    read together; which ones depends on the texts alone.
    """
    rows = [_row(speaker, context, text) for context, text in texts]
    found: dict[int, Likelihood] = {}
    speaker.model.eval()
    for part in _parts(rows):
        for at, nats in zip(part, _nats(speaker, [rows[at] for at in part]), strict=True):
            row = rows[at]
            found[at] = Likelihood(nats / math.log(2), len(row.ids) - row.start, row.bytes)
        reporter.advance(len(part))
    return [found[at] for at in range(len(rows))]


def _row(speaker: Speaker, context: str, text: str) -> _Row:
    while True:
        placed = speaker.prompts.encode([TextPiece(context, "user"), TextPiece(text, "user")])
        if len(placed) <= speaker.context:
            break
        text = text[: max(1, len(text) * speaker.context // len(placed) - 1)]
    start = next(at for at, each in enumerate(placed) if each.piece == 1)
    return _Row([each.id for each in placed], max(1, start), len(text.encode()))


def _parts(rows: Sequence[_Row]) -> list[list[int]]:
    """Rows of about equal length together, at most TOKENS with their padding."""
    parts: list[list[int]] = []
    for at in sorted(range(len(rows)), key=lambda at: len(rows[at].ids), reverse=True):
        widest = len(rows[parts[-1][0]].ids) if parts else 0
        if not parts or widest * (len(parts[-1]) + 1) > TOKENS:
            parts.append([])
        parts[-1].append(at)
    return parts


def _nats(speaker: Speaker, rows: Sequence[_Row]) -> list[float]:
    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)], mask[at, : len(row.ids)] = torch.tensor(row.ids), 1
    ids, mask = ids.to(speaker.device), mask.to(speaker.device)
    logits: Tensor = speaker.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    found = []
    for at, row in enumerate(rows):
        behind = logits[at, row.start - 1 : len(row.ids) - 1].float()
        found.append(float(F.cross_entropy(behind, ids[at, row.start : len(row.ids)], reduction="sum")))
    return found
