"""A small language model in place of a large one: it reads a connector's tokens and a question, and answers.

It learns from nothing together with the connector, so that all connectors have the same reader and the same time.

Notation: B pictures, N cells of the encoder, M tokens of the connector, Q questions, D width, C numbers a cell.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.connectors.attention import attend
from isthmus.labs.asked import Asked
from isthmus.progress import Progress
from isthmus.vision.features import Features


@dataclass(frozen=True)
class Schedule:
    """How everything in these labs is trained: AdamW under one cycle of the rate."""

    steps: int = 800
    batch: int = 32
    rate: float = 2e-3


ANSWERING = Schedule()


def as_features(tokens: Tensor) -> Features:
    """[B, N, C] as an encoder gives it; nobody here asks where in the picture a cell lies."""
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
    return Features(tokens, mask, torch.zeros(*tokens.shape[:2], 4), tokens.mean(1))


class Reader(nn.Module):
    """tokens [B, M, `seen`], questions [B, Q] -> logits [B, Q, answers].

    Each question looks at the tokens, thinks, looks again; it sees no other one. `seen`: the width of these tokens,
    a connector's or the features themselves, into which Flamingo's language model looks. `slots`: how many there
    are, if each is to have a learned position; 0 if they tell by themselves where they are.
    """

    def __init__(self, asked: Asked, seen: int, *, slots: int, width: int, layers: int, heads: int = 4) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(seen)
        self.slots = nn.Parameter(torch.randn(slots, seen) * 0.3) if slots else None
        self.words = nn.Embedding(asked.num_questions, width)
        self.looks = nn.ModuleList(Look(width, seen, heads) for _ in range(layers))
        self.thoughts = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.answer = nn.Linear(width, asked.num_answers)

    def forward(self, tokens: Tensor, questions: Tensor) -> Tensor:
        tokens = self.norm_tokens(tokens)
        if self.slots is not None:
            tokens = tokens + self.slots
        x = self.words(questions)
        for look, think in zip(self.looks, self.thoughts, strict=True):
            x = look(x, tokens)
            x = x + think(x)
        logits: Tensor = self.answer(self.norm(x))
        return logits


class Look(nn.Module):
    """x [B, S, D] plus what it sees in [B, N, C]."""

    def __init__(self, width: int, seen: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(seen, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        k, v = self.kv(seen).chunk(2, dim=-1)
        y: Tensor = self.out(attend(self.q(self.norm(x)), k, v, None, heads=self.heads))
        return x + y


def learn(
    connector: nn.Module | None,
    reader: Reader,
    features: Tensor,
    asked: Asked,
    rows: Tensor,
    schedule: Schedule,
    seed: int,
    bar: Progress,
) -> None:
    """Trains connector and reader together on the pictures `rows` of features [B, N, C]; both end in eval mode."""
    parts = nn.ModuleList([reader] if connector is None else [connector, reader])
    for batch in batches(parts, rows, schedule, seed, bar):
        some = asked[batch.rows]
        logits = answers(connector, reader, features[batch.rows], some.questions)
        losses = F.cross_entropy(logits.flatten(0, 1), some.answers.flatten(), reduction="none").view(
            some.answers.shape
        )
        # each kind of question counts the same, however many of it a picture has
        batch.step(torch.stack([losses[:, some.places(kind)].mean() for kind in dict.fromkeys(some.kinds)]).mean())


def answers(connector: nn.Module | None, reader: Reader, features: Tensor, questions: Tensor) -> Tensor:
    """[B, N, C], [B, Q] -> logits [B, Q, answers]; without a connector the reader looks at the features."""
    tokens = features.float() if connector is None else connector(as_features(features.float())).tokens
    return reader(tokens, questions)  # type: ignore[no-any-return]


@torch.no_grad()
def right(connector: nn.Module | None, reader: Reader, features: Tensor, asked: Asked, rows: Tensor) -> Tensor:
    """[rows, Q] bool: which questions about the pictures `rows` are answered rightly. `asked.by_kind` sums up."""
    found = []
    for few in torch.split(rows, 250):
        logits = answers(connector, reader, features[few], asked.questions[few])
        found.append(logits.argmax(-1) == asked.answers[few])
    return torch.cat(found)


@dataclass(frozen=True)
class Batch:
    """`rows` [b] of the pictures to look at now; `step` takes their loss."""

    rows: Tensor
    optimiser: torch.optim.Optimizer
    cycle: torch.optim.lr_scheduler.LRScheduler

    def step(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.cycle.step()


def batches(part: nn.Module, rows: Tensor, schedule: Schedule, seed: int, bar: Progress) -> Iterator[Batch]:
    """The steps of training `part`, its batches in an order that `seed` decides alone. In float32: parts this small
    gain nothing from bf16."""
    random = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(part.parameters(), schedule.rate, weight_decay=0.01, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.rate, total_steps=schedule.steps, pct_start=0.1, cycle_momentum=False
    )
    part.train()
    for _ in range(schedule.steps):
        yield Batch(rows[torch.from_numpy(random.integers(0, len(rows), schedule.batch))], optimiser, cycle)
        bar.advance()
    part.eval()
