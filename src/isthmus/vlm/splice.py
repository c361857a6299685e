"""Samples and picture tokens to one batch of embeddings, padded on either side.

Notation: B samples, S longest of them, D width of the language model, K picture tokens of all samples, L labels.
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
    of each sample. `predicting` [L] int64 are the places in the flattened [B S] whose next token is trained on,
    `targets` [L] int64 those tokens.
    """

    embeds: Tensor
    mask: Tensor
    positions: Tensor
    labels: Tensor
    lengths: tuple[int, ...]
    side: Side
    predicting: Tensor
    targets: Tensor

    @property
    def padded(self) -> bool:
        return min(self.lengths) < self.embeds.shape[1]

    @property
    def last(self) -> list[int]:
        """The column of each sample's last token."""
        longest = self.embeds.shape[1]
        return [longest - 1 if self.side == "left" else length - 1 for length in self.lengths]


def splice(samples: Sequence[Sample], tokens: Tokens | None, embedding: nn.Module, *, side: Side = "right") -> Batch:
    """The batch of these samples; `tokens` are those of all their pictures in reading order (None: no picture).

    `embedding` is the language model's: ids [..] -> [.., D]. Gradients reach `tokens`.
    Raises InputError where the pictures are not as many, or not as long, as the samples' slots.
    """
    if not samples:
        raise InputError("the batch is empty")
    rows = picture_rows(samples, tokens)
    lengths = tuple(len(sample.ids) for sample in samples)
    longest = max(lengths)
    starts = [longest - length if side == "left" else 0 for length in lengths]
    ids = torch.zeros(len(samples), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORE)
    mask, positions = torch.zeros_like(ids), torch.zeros_like(ids)
    for at, (sample, start, length) in enumerate(zip(samples, starts, lengths, strict=True)):
        here = slice(start, start + length)
        ids[at, here], labels[at, here] = torch.tensor(sample.ids), torch.tensor(sample.labels)
        mask[at, here], positions[at, here] = 1, torch.arange(length)
    # A token is predicted from the one before it; the first of a sample is predicted by nothing.
    firsts = torch.zeros_like(mask, dtype=torch.bool)
    firsts[range(len(samples)), starts] = True
    trained = labels.ne(IGNORE).logical_and(~firsts).flatten().nonzero().squeeze(1)
    device = next(embedding.parameters()).device
    return Batch(
        embeds=embed(ids, rows, embedding),
        mask=mask.to(device),
        positions=positions.to(device),
        labels=labels.to(device),
        lengths=lengths,
        side=side,
        predicting=(trained - 1).to(device),
        targets=labels.flatten()[trained].to(device),
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
