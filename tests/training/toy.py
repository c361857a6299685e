"""A small task for the loop: a network with dropout on drawn numbers, whose batches may differ in size.

`python -m tests.training.toy OUT STEPS [--resume] [--kill-at N]` trains it as one rank of however many there are.
"""

import argparse
import json
import os
import signal
from pathlib import Path

import torch
from torch import Tensor, nn

from isthmus.training.loop import Group, LoopSettings, train


class Net(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 8).requires_grad_(False)
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: "Numbers", count: int) -> dict[str, Tensor]:
        guessed = self.last(self.dropout(torch.tanh(self.first(self.frozen(batch.x)))))[:, 0]
        return {"loss": (guessed - batch.y).square().sum() / count}


class Numbers:
    def __init__(self, seed: int, poison: bool = False) -> None:
        chances = torch.Generator().manual_seed(seed)
        rows = 1 + seed % 4
        self.seed = seed
        self.x = torch.randn(rows, 6, generator=chances)
        self.y = self.x.sum(1) + (float("nan") if poison else 0)


class Toy:
    counted = "rows"

    def __init__(self, dropout: float = 0.2) -> None:
        torch.manual_seed(1)
        self.module = Net(dropout)

    def groups(self) -> list[Group]:
        return [
            Group("first", tuple(self.module.first.parameters()), 0.01, 0.05),
            Group("last", tuple(self.module.last.parameters()), 0.03),
        ]

    def weight(self, batch: Numbers) -> int:
        return len(batch.y)

    def places(self, batch: Numbers) -> list[str]:
        return [f"draw {batch.seed}"]


class Draws:
    """Batches in the joint order, of which this rank takes every `ranks`-th."""

    def __init__(self, rank: int = 0, ranks: int = 1, poisoned: int | None = None) -> None:
        self.at, self.rank, self.ranks, self.poisoned = 0, rank, ranks, poisoned

    def __next__(self) -> Numbers:
        seed = self.at * self.ranks + self.rank
        self.at += 1
        return Numbers(seed, seed == self.poisoned)

    def state(self) -> dict[str, int]:
        return {"at": self.at}

    def resume(self, state: dict[str, int]) -> None:
        self.at = state["at"]


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--signal-at", type=int)
    parser.add_argument("--signal", default="SIGTERM")
    parser.add_argument("--whole", type=int, help="steps the schedule is made for; stop after STEPS by SIGTERM")
    options = parser.parse_args()
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    draws = Draws(rank, ranks)
    if options.signal_at is not None and rank == 0:
        draws.__class__ = type("Signalled", (Draws,), {"__next__": _signalled(options)})
    settings = LoopSettings(
        options.steps, accumulate=options.accumulate, checkpoint_every=5, average=0.9, precision="float32"
    )
    ended = train(Toy(options.dropout), draws, settings, options.out, resume=options.resume, quiet=True)
    if rank == 0:
        print(json.dumps({"step": ended.step, "why": ended.why}))


def _signalled(options: argparse.Namespace):
    def following(self: Draws) -> Numbers:
        if self.at == options.signal_at:
            os.kill(os.getpid(), getattr(signal, options.signal))
        return Draws.__next__(self)

    return following


if __name__ == "__main__":
    main()
