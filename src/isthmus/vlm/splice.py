"""Samples and picture tokens to one batch of embeddings, padded on either side; one sample a row, or several.

Notation: B rows, S longest of them, D width of the language model, K picture tokens of all samples, L labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Tokens
from isthmus.errors import InputError
from isthmus.vlm.prompt_tokenizer import PICTURE
from isthmus.vlm.sequence import IGNORE, Sample

Side: TypeAlias = Literal["left", "right"]


@dataclass(frozen=True)
class Batch:
    """What the language model reads.

    embeds [B, S, D]; mask [B, S] int64, 1 where there is a token; positions [B, S] int64, counted from 0 at each
    sample's first token (0 in the padding); labels [B, S] int64, IGNORE where nothing is trained; lengths, the tokens
    of each row. `predicting` [L] int64 are the places in the flattened [B S] whose next token is trained on,
    `targets` [L] int64 those tokens, sample after sample. `packed`: a row holds several samples, which only their
    positions keep apart.
    """

    embeds: Tensor
    mask: Tensor
    positions: Tensor
    labels: Tensor
    lengths: tuple[int, ...]
    side: Side
    predicting: Tensor
    targets: Tensor
    packed: bool = False

    @property
    def padded(self) -> bool:
        return min(self.lengths) < self.embeds.shape[1]

    @property
    def last(self) -> list[int]:
        """The column of each row's last token."""
        longest = self.embeds.shape[1]
        return [longest - 1 if self.side == "left" else length - 1 for length in self.lengths]


def splice(
    samples: Sequence[Sample],
    tokens: Tokens | None,
    embedding: nn.Module,
    *,
    side: Side = "right",
    rows: Sequence[int] | None = None,
) -> Batch:
    """The batch of these samples; `tokens` are those of all their pictures in reading order (None: no picture).

    `embedding` is the language model's: ids [..] -> [.., D]. Gradients reach `tokens`. `rows`: how many samples stand
    behind each other in each row (None: one).
    Raises InputError where the pictures are not as many, or not as long, as the samples' slots.
    """
    if not samples:
        raise InputError("the batch is empty")
    rows = rows or (1,) * len(samples)
    if sum(rows) != len(samples):
        raise ValueError(f"rows of {sum(rows)} samples are asked for, and {len(samples)} are given")
    shown = picture_rows(samples, tokens)
    following = iter(samples)
    grouped = [[next(following) for _ in range(count)] for count in rows]
    lengths = tuple(sum(len(sample.ids) for sample in row) for row in grouped)
    longest = max(lengths)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORE)
    mask, positions = torch.zeros_like(ids), torch.zeros_like(ids)
    firsts = torch.zeros_like(ids, dtype=torch.bool)
    for at, row in enumerate(grouped):
        start = longest - lengths[at] if side == "left" else 0
        for sample in row:
            length = len(sample.ids)
            here = slice(start, start + length)
            ids[at, here], labels[at, here] = torch.tensor(sample.ids), torch.tensor(sample.labels)
            mask[at, here], positions[at, here] = 1, torch.arange(length)
            firsts[at, start] = True
            start += length
    # A token is predicted from the one before it; the first of a sample is predicted by nothing.
    trained = labels.ne(IGNORE).logical_and(~firsts).flatten().nonzero().squeeze(1)
    device = next(embedding.parameters()).device
    return Batch(
        embeds=embed(ids, shown, embedding),
        mask=mask.to(device),
        positions=positions.to(device),
        labels=labels.to(device),
        lengths=lengths,
        side=side,
        predicting=(trained - 1).to(device),
        targets=labels.flatten()[trained].to(device),
        packed=max(rows) > 1,
    )


def embed(ids: Tensor, rows: Tensor | None, embedding: nn.Module) -> Tensor:
    """ids [B, S] int64 on the CPU, PICTURE where a picture's token stands, and these tokens [K, D] in reading order ->
    [B, S, D] on the embedding's device, in its dtype."""
    weight = next(embedding.parameters())
    flat = ids.flatten()
    places = flat.eq(PICTURE).nonzero().squeeze(1)
    words: Tensor = embedding(flat.clamp(min=0).to(weight.device))
    if len(places):
        assert rows is not None
        words = words.index_copy(0, places.to(weight.device), rows.to(words))
    return words.view(*ids.shape, -1)


def picture_rows(samples: Sequence[Sample], tokens: Tokens | None) -> Tensor | None:
    """The tokens of all pictures one after the other, [K, D], padding left out. Raises InputError as `splice` does."""
    pictures = sum(sample.pictures for sample in samples)
    given = 0 if tokens is None else len(tokens.tokens)
    if pictures != given:
        raise InputError(
            f"the samples show {pictures} pictures, but tokens of {given} are given",
            todo="give the features of all pictures in reading order",
        )
    if tokens is None:
        return None
    slots = _slot_counts(samples)
    counts: list[int] = tokens.mask.sum(1).tolist()
    for at, (expected, count) in enumerate(zip(slots, counts, strict=True)):
        if expected != count:
            raise InputError(
                f"picture {at} of the batch has {count} tokens, but its slots have room for {expected}",
                why="the sample was built for other features or another connector",
                todo="build the samples again with model.sample",
            )
    if all(count == tokens.tokens.shape[1] for count in counts):
        return tokens.tokens.flatten(0, 1)
    return tokens.tokens[tokens.mask]


def _slot_counts(samples: Sequence[Sample]) -> list[int]:
    """For each picture of the batch, how many positions are kept for it."""
    counts: list[int] = []
    for sample in samples:
        mine = [0] * sample.pictures
        for slot in sample.slots:
            mine[slot.picture] += slot.stop - slot.start
        counts += mine
    return counts
