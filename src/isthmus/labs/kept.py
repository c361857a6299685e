"""What frozen tokens still hold: linear probes, and the features rebuilt from them.

Notation: B pictures, N cells of C numbers, M tokens of width D, K labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.labs.asked import CLASS, COLOUR, COUNT, DIGITS, MOST_DOTS, PLACES, POSITION, TEXT
from isthmus.labs.drawn import COLOURS, SHAPES, Drawing
from isthmus.labs.reader import Look, Schedule, batches
from isthmus.progress import Progress

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Of the ridge regression, in units of the mean squared length of what it regresses on."""
CHOOSING = 5
"""Every fifth training picture chooses the penalty."""
REBUILDING = Schedule(steps=150)


@dataclass(frozen=True)
class Labels:
    """For each kind, groups of labels [B, K], of which `true` are 1: the best `true` guesses are compared with them."""

    groups: dict[str, list[Tensor]]
    true: dict[str, int]


def labels(scenes: Sequence[Drawing]) -> Labels:
    """Which classes, positions and colours occur, which digit stands at each place, how many dots there are."""
    colours = list(COLOURS)
    shapes = len(scenes[0].shapes)

    def marked(count: int, *values: list[int]) -> Tensor:
        return torch.stack([F.one_hot(torch.tensor(each), count).amax(0) for each in values]).float()

    things = [scene.shapes for scene in scenes]
    cells = [[t.cell(*s.picture.image.size, PLACES, PLACES) for t in s.shapes] for s in scenes]
    return Labels(
        groups={
            CLASS: [marked(len(SHAPES), *[[SHAPES.index(t.what) for t in each] for each in things])],
            POSITION: [marked(PLACES**2, *cells)],
            COLOUR: [marked(len(COLOURS), *[[colours.index(t.colour) for t in each] for each in things])],
            TEXT: [marked(10, *[[int(scene.written[i])] for scene in scenes]) for i in range(DIGITS)],
            COUNT: [marked(MOST_DOTS, *[[scene.dots - 1] for scene in scenes])],
        },
        true={CLASS: shapes, POSITION: shapes, COLOUR: shapes, TEXT: 1, COUNT: 1},
    )


def probe(tokens: Tensor, known: Labels, training: Tensor, test: Tensor) -> dict[str, float]:
    """tokens [B, M, D] -> for each kind, the share of true labels among the guesses of a ridge regression on all of a
    picture's tokens. Two shapes in one cell of the position grid leave a guess that cannot be right."""
    targets = torch.cat([group for groups in known.groups.values() for group in groups], dim=1)
    guesses = Ridge(tokens.flatten(1), targets, training)(test)
    found, start = {}, 0
    for kind, groups in known.groups.items():
        shares = []
        for group in groups:
            guessed = guesses[:, start : start + group.shape[1]].topk(known.true[kind], dim=1).indices
            true = group[test]
            shares.append((true.gather(1, guessed).sum(1) / true.sum(1)).mean().item())
            start += group.shape[1]
        found[kind] = sum(shares) / len(shares)
    return found


class Ridge:
    """Least squares with a penalty, targets [B, K] from x [B, D], learned from the rows `training`.

    Solved between pictures, not between dimensions: there are more of these.
    """

    def __init__(self, x: Tensor, targets: Tensor, training: Tensor) -> None:
        x, targets = x.double(), targets.double()
        self.x = (x - x[training].mean(0)) / x[training].std(0).clamp(min=1e-6)
        chosen = torch.arange(len(training)) % CHOOSING == 0
        fit, choose = training[~chosen], training[chosen]
        errors = {
            penalty: (self.x[choose] @ weight + mean - targets[choose]).square().mean().item()
            for penalty, (weight, mean) in self._solved(fit, targets[fit], PENALTIES)
        }
        best = min(errors, key=errors.__getitem__)
        ((_, (self.weight, self.mean)),) = self._solved(training, targets[training], (best,))

    def _solved(
        self, rows: Tensor, targets: Tensor, penalties: Sequence[float]
    ) -> Iterator[tuple[float, tuple[Tensor, Tensor]]]:
        x, mean = self.x[rows], targets.mean(0)
        alike = x @ x.T
        for penalty in penalties:
            stiff = alike + torch.eye(len(rows), dtype=x.dtype) * penalty * alike.diagonal().mean()
            yield penalty, (x.T @ torch.cholesky_solve(targets - mean, torch.linalg.cholesky(stiff)), mean)

    def __call__(self, rows: Tensor) -> Tensor:
        """[len(rows), K]"""
        return self.x[rows] @ self.weight + self.mean


def rebuilt(
    tokens: Tensor, features: Tensor, training: Tensor, test: Tensor, schedule: Schedule, seed: int, bar: Progress
) -> float:
    """The share of the features' variance that a decoder, trained for it, explains on the pictures `test`.

    tokens [B, M, D]; features [B, N, C], each of their C numbers counting as much as every other. Variance is around
    each cell's mean: who knows no more than what pictures have in common explains nothing.
    """
    some = features[training[:500]].float()
    mean = some.mean(0)
    deviation = (some - mean).std((0, 1)).clamp(min=1e-3)
    decoder = _Decoder(tokens.shape[1], tokens.shape[2], features.shape[1], features.shape[2])
    for batch in batches(decoder, training, schedule, seed, bar):
        wanted = (features[batch.rows].float() - mean) / deviation
        batch.step(F.mse_loss(decoder(tokens[batch.rows].float()), wanted))
    lost, all_of_it = 0.0, 0.0
    with torch.no_grad():
        for few in torch.split(test, 100):
            wanted = (features[few].float() - mean) / deviation
            lost += (decoder(tokens[few].float()) - wanted).square().sum().item()
            all_of_it += wanted.square().sum().item()
    return 1 - lost / all_of_it


class _Decoder(nn.Module):
    """[B, M, D] -> [B, N, C]: each cell looks for itself among the tokens, whose places it may learn."""

    def __init__(self, tokens: int, width: int, cells: int, numbers: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.slots = nn.Parameter(torch.randn(tokens, width) * 0.3)
        self.cells = nn.Parameter(torch.randn(cells, width) * 0.3)
        self.looks = nn.ModuleList(Look(width, width, heads=4) for _ in range(2))
        self.rebuild = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, numbers)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        seen = self.norm(tokens) + self.slots
        x = self.cells.expand(len(tokens), -1, -1)
        for look in self.looks:
            x = look(x, seen)
        features: Tensor = self.rebuild(x)
        return features
