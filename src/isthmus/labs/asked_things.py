"""Lab `question`'s pictures of several things, the questions about one of them, and the model that answers.

Notation: n pictures of N cells, C numbers a cell; B questions of T words, M queries, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.connectors.attention import attend
from isthmus.connectors.connector import Text
from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.labs.cells import frozen_encoder, square
from isthmus.labs.drawn import COLOURS, SHAPES, Drawing, Thing, draw, noisy_ground, plain_ground, scatter
from isthmus.labs.narrow import wider_start
from isthmus.labs.words import Words
from isthmus.progress import Progress
from isthmus.vision.features import Features, unboxed

HUES = tuple(COLOURS)
QUESTIONS = {kind: f"what colour is the {kind}" for kind in SHAPES}
CHANCE = 1 / len(HUES)


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `side`: of a picture, in pixels; `things` on it; `pictures` to train on, each shown with a
    question drawn anew each time; `queries`: how many, in turn."""

    side: int = 160
    things: int = 4
    pictures: int = 1_500
    test: int = 400
    queries: tuple[int, ...] = (1, 2, 4, 8)
    width: int = 128
    layers: int = 2
    heads: int = 4
    batch: int = 64
    steps: int = 400
    rate: float = 1e-3


@dataclass(frozen=True)
class Data:
    """cells [n, N, C] float16, their places included, and what is on each picture; the last `test` are the test's."""

    cells: Tensor
    things: tuple[tuple[Thing, ...], ...]
    words: Words

    def features(self, rows: Sequence[int]) -> Features:
        tokens = self.cells[torch.as_tensor(rows)].float()
        return unboxed(tokens)


@dataclass(frozen=True)
class Scores:
    """Accuracies: as asked; where the queries see a question about another thing of the picture than the reader does;
    with another picture's tokens."""

    right: float
    misled: float
    elsewhere: float


def pictures(settings: Settings, bar: Progress, seed: int = 0) -> Data:
    """Training's, then the test's; the same for every run."""
    random = np.random.default_rng(seed)
    drawn = [picture(settings, random) for _ in range(settings.pictures + settings.test)]
    seen = square(frozen_encoder(), drawn, settings.side, bar)
    return Data(seen, tuple(each.things for each in drawn), Words(list(QUESTIONS.values())))


def picture(settings: Settings, random: np.random.Generator) -> Drawing:
    """Things of different kinds and colours, anywhere; half of all grounds are plain, half noisy."""
    side = settings.side
    kinds, hues = (random.permutation(list(all_))[: settings.things] for all_ in (SHAPES, HUES))
    sizes = [(int(size),) * 2 for size in random.integers(side // 5, round(side * 0.3), settings.things)]
    boxes = scatter(random, side, side, sizes)
    ground = noisy_ground if random.integers(2) else plain_ground
    things = [Thing(str(kind), box, str(hue)) for kind, box, hue in zip(kinds, boxes, hues, strict=True)]
    return draw(ground(random, side, side), things)


class Answerer(nn.Module):
    """A Q-Former and a reader of its M tokens, to logits over HUES [B, len(HUES)].

    The reader embeds the question by itself, looks at the tokens with it, once, and answers from both. `seeing`:
    whether the Q-Former reads the question too.
    """

    def __init__(self, queries: int, width_in: int, words: int, settings: Settings, *, seeing: bool) -> None:
        super().__init__()
        width = settings.width
        config = QFormerConfig(
            width_in=width_in,
            width_out=width,
            width=width,
            layers=settings.layers,
            heads=settings.heads,
            width_ffn=2 * width,
            queries=queries,
            cross_every=1,
            vocabulary=words,
            max_text=8,
            dropout=0.0,
        )
        self.seeing, self.heads = seeing, settings.heads
        self.connector = QFormerConnector(config)
        wider_start(self.connector)
        self.words = nn.Embedding(words, width)
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.answer = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, len(HUES)))

    def forward(self, features: Features, text: Text, to_queries: Text | None = None) -> Tensor:
        """`to_queries`: the question the Q-Former sees, where it is not the reader's."""
        tokens = self.connector(features, (to_queries or text) if self.seeing else None).tokens
        asked = (self.words(text.ids) * text.mask[..., None]).sum(1)
        keys, values = self.kv(tokens).chunk(2, dim=-1)
        seen = attend(self.q(asked)[:, None], keys, values, None, heads=self.heads)[:, 0]
        logits: Tensor = self.answer(torch.cat([asked, seen], dim=-1))
        return logits


def score(queries: int, seeing: bool, data: Data, settings: Settings, seed: int, bar: Progress) -> Scores:
    """Train on the training pictures, measure on the test's: one question about each."""
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Answerer(queries, data.cells.shape[-1], len(data.words), settings, seeing=seeing)
        _train(model, data, settings, random, bar)
    rows = range(settings.pictures, settings.pictures + settings.test)
    random = np.random.default_rng(seed)
    chosen = [random.permutation(len(data.things[row]))[:2] for row in rows]
    asked, other = ([data.things[row][pair[i]] for row, pair in zip(rows, chosen, strict=True)] for i in (0, 1))
    right = _answers(asked)
    features, text = data.features(rows), _text(data, asked)
    elsewhere = data.features([*rows[1:], rows[0]])
    with torch.no_grad():
        shares = [
            (model(*given).argmax(1) == right).double().mean().item()
            for given in ((features, text), (features, text, _text(data, other)), (elsewhere, text))
        ]
    return Scores(*shares)


def _train(model: Answerer, data: Data, settings: Settings, random: np.random.Generator, bar: Progress) -> None:
    """AdamW, one cycle of the rate; the model is left in evaluation mode."""
    optimiser = torch.optim.AdamW(model.parameters(), settings.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1, cycle_momentum=False
    )
    model.train()
    for _ in range(settings.steps):
        rows = random.integers(settings.pictures, size=settings.batch).tolist()
        asked = [data.things[row][random.integers(settings.things)] for row in rows]
        loss = F.cross_entropy(model(data.features(rows), _text(data, asked)), _answers(asked))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
        optimiser.step()
        schedule.step()
        bar.advance()
    model.eval()


def _text(data: Data, things: Sequence[Thing]) -> Text:
    return data.words.text([QUESTIONS[thing.what] for thing in things])


def _answers(things: Sequence[Thing]) -> Tensor:
    return torch.tensor([HUES.index(thing.colour) for thing in things])
