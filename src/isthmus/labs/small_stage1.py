"""The small Q-Former of lab `objectives`: its pictures, its training by some of stage 1's losses, what it then can.

Notation: n pictures of N cells, C numbers a cell, T words.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.connectors.connector import Text
from isthmus.connectors.objectives import Losses, Stage1
from isthmus.connectors.qformer import Memory, QFormer, QFormerConfig
from isthmus.contrastive.metrics import recall
from isthmus.labs.cells import frozen_encoder, square
from isthmus.labs.narrow import wider_start
from isthmus.labs.pairs_of_things import CHANGES, Change, Couple, couples, picture, split
from isthmus.labs.words import START, Words
from isthmus.progress import Progress
from isthmus.vision.features import Features, unboxed

LONGEST = 12
"""Words of a caption, after which it is cut off."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `side`: of a picture, in pixels; `pictures`: drawn for all seeds together, of which each keeps
    those of `held` of all couples apart and tests on `test` of them; `space`: width of the contrast's common space."""

    side: int = 160
    pictures: int = 2_200
    held: float = 0.2
    test: int = 256
    width: int = 64
    layers: int = 2
    heads: int = 4
    queries: int = 4
    space: int = 32
    batch: int = 48
    steps: int = 400
    rate: float = 2e-3


@dataclass(frozen=True)
class Data:
    """cells [n, N, C] float16, their places included, and what is on each picture."""

    cells: Tensor
    couples: tuple[Couple, ...]
    words: Words

    def features(self, rows: Sequence[int]) -> Features:
        tokens = self.cells[torch.as_tensor(rows)].float()
        return unboxed(tokens)


@dataclass(frozen=True)
class Scores:
    """found: R@1, of a picture's sentence by cosine, and its `chance`; spoken: share of true captions; told[head]
    [change]: accuracy at telling the true sentence from the changed one."""

    found: float
    chance: float
    spoken: float
    told: dict[str, dict[Change, float]]


def pictures(settings: Settings, bar: Progress, seed: int = 0) -> Data:
    """Of couples drawn at random, the same for every run; a run's own seed splits them."""
    random = np.random.default_rng(seed)
    every = couples()
    drawn = [every[i] for i in random.integers(len(every), size=settings.pictures)]
    seen = square(frozen_encoder(), [picture(each, random, settings.side) for each in drawn], settings.side, bar)
    return Data(seen, tuple(drawn), Words([each.sentence for each in every]))


def score(losses: Collection[str], data: Data, settings: Settings, seed: int, bar: Progress) -> Scores:
    """Train by the sum of these `losses` of "itc", "itm", "itg", and measure on couples never trained on."""
    random = np.random.default_rng(seed)
    _, held = (set(part) for part in split(settings.held, random))
    training = [i for i, each in enumerate(data.couples) if each not in held]
    test = [i for i, each in enumerate(data.couples) if each in held][: settings.test]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stage1 = _stage1(data, settings)
        _train(stage1, losses, data, training, settings, random, bar)
        return _scores(stage1.eval(), data, test, np.random.default_rng(seed))


def _stage1(data: Data, settings: Settings) -> Stage1:
    config = QFormerConfig(
        width_in=data.cells.shape[-1],
        width_out=settings.width,
        width=settings.width,
        layers=settings.layers,
        heads=settings.heads,
        width_ffn=2 * settings.width,
        queries=settings.queries,
        cross_every=1,
        vocabulary=len(data.words),
        max_text=LONGEST,
        dropout=0.0,
    )
    stage1 = Stage1(QFormer(config), settings.space, start_token=data.words[START])
    wider_start(stage1)
    return stage1


def _train(
    stage1: Stage1,
    losses: Collection[str],
    data: Data,
    rows: Sequence[int],
    settings: Settings,
    random: np.random.Generator,
    bar: Progress,
) -> None:
    """AdamW, one cycle of the rate. Pictures of one couple, whose sentences are the same, are no negatives."""
    numbers = {couple: number for number, couple in enumerate(couples())}
    optimiser = torch.optim.AdamW(stage1.parameters(), settings.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1, cycle_momentum=False
    )
    stage1.train()
    for _ in range(settings.steps):
        batch = [rows[i] for i in random.choice(len(rows), settings.batch, replace=False)]
        shown = [data.couples[i] for i in batch]
        said = data.words.text([each.sentence for each in shown])
        same = torch.tensor([numbers[each] for each in shown])
        found: Losses = stage1(data.features(batch), said, same)
        loss = torch.stack([getattr(found, name) for name in sorted(losses)]).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([p for p in stage1.parameters() if p.grad is not None], 1.0)
        optimiser.step()
        schedule.step()
        bar.advance()


@torch.no_grad()
def _scores(stage1: Stage1, data: Data, rows: Sequence[int], random: np.random.Generator) -> Scores:
    shown = [data.couples[i] for i in rows]
    features = data.features(rows)
    memory = stage1.qformer.read(features.tokens, features.mask)
    text = data.words.text([each.sentence for each in shown])
    of_pictures, of_texts = stage1.apart(memory, text)
    cosines = torch.einsum("nme,ke->nkm", of_pictures, of_texts).amax(-1)
    gain = torch.tensor([[each == other for other in shown] for each in shown])
    right = fitness(stage1, memory, text)
    told: dict[str, dict[Change, float]] = {head: {} for head in right}
    for change in CHANGES:
        changed = [each.changed(change, random).sentence for each in shown]
        wrong = fitness(stage1, memory, data.words.text(changed))
        for head, scores in right.items():
            told[head][change] = (scores > wrong[head]).double().mean().item()
    spoken = captions(stage1, memory, data.words)
    return Scores(
        found=recall(cosines, gain, 1).mean().item(),
        chance=gain.double().mean().item(),
        spoken=sum(said == each.sentence for said, each in zip(spoken, shown, strict=True)) / len(rows),
        told=told,
    )


@torch.no_grad()
def fitness(stage1: Stage1, memory: Memory, text: Text) -> dict[str, Tensor]:
    """How well each head thinks that sentence and picture fit, [n] each."""
    of_pictures, of_texts = stage1.apart(memory, text)
    logits = stage1.match(memory, text)
    chances = _word_logits(stage1, memory, text)[:, :-1].log_softmax(-1)
    asked = text.ids[:, 1:, None]
    said = chances.gather(2, asked)[..., 0].masked_fill(~text.mask[:, 1:], 0)
    return {
        "ITM's head": logits[:, 1] - logits[:, 0],
        "ITC's cosine": torch.einsum("nme,ne->nm", of_pictures, of_texts).amax(-1),
        "ITG's likelihood": said.sum(1),
    }


@torch.no_grad()
def captions(stage1: Stage1, memory: Memory, words: Words) -> list[str]:
    """The likeliest word, then the next."""
    ids = torch.full((len(memory.mask), 1), words[START])
    for _ in range(LONGEST - 1):
        logits = _word_logits(stage1, memory, Text(ids, torch.ones_like(ids, dtype=torch.bool)))
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    return words.sentences(ids)


def _word_logits(stage1: Stage1, memory: Memory, text: Text) -> Tensor:
    assert stage1.qformer.words is not None
    logits: Tensor = stage1.itg_head(stage1.caption(memory, text), stage1.qformer.words.weight)
    return logits.float()
