"""Hard negatives: which wrong text each picture, and which wrong picture each text, is told apart from.

Notation: B pairs in the joint batch, b of them on this rank.
"""

import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.gathering import Ranks, gather_rows

FLOOR = 1e-4
"""Added to every probability, so that no pair is ever out of reach (ALBEF's and BLIP-2's value)."""


def twins(same: Tensor | None, ranks: Ranks, device: torch.device) -> Tensor:
    """[b, B] bool: another pair with the same caption. same [b] int64: equal ids, equal captions; None: none are.

    Raises InputError, on every rank alike, where the joint batch has no two different captions.
    """
    own = torch.arange(ranks.start, ranks.start + ranks.sizes[ranks.rank], device=device)
    if same is None:
        found = torch.zeros(len(own), ranks.total, dtype=torch.bool, device=device)
        different = ranks.total > 1
    else:
        every = gather_rows(same, ranks)
        found = same[:, None] == every
        found[torch.arange(len(own), device=device), own] = False
        different = ranks.total > 1 and bool((every != every[0]).any())
    if not different:
        raise InputError(
            f"a batch of {ranks.total} has no wrong pair to learn from",
            why="all its captions are the same",
            todo="use larger batches, or mix the data",
        )
    return found


def draw(logits: Tensor, excluded: Tensor, noise: Tensor) -> Tensor:
    """One column for each row, with probability softmax(logits) + FLOOR, never an excluded one.

    logits [b, B], excluded [b, B] bool, noise [b, B] exponential of rate 1 -> [b] int64. A function of its arguments:
    the least of noise / weight wins, a race that column j wins with probability weight_j / sum of weights.
    """
    weights = (logits.softmax(1) + FLOOR).masked_fill(excluded, 0)
    return (weights / noise).argmax(1)


def noise(ranks: Ranks, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """[b, B] float32: this rank's rows of what is drawn for the joint batch, which ranks whose generators are in the
    same state draw alike, however the batch is divided."""
    place = device if generator is None else generator.device
    joint = torch.empty(ranks.total, ranks.total, device=place).exponential_(generator=generator)
    mine = joint[ranks.start : ranks.start + ranks.sizes[ranks.rank]]
    return mine.clamp(min=torch.finfo(mine.dtype).tiny).to(device)
