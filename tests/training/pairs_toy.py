"""Small tasks on pairs for the loop: `python -m tests.training.pairs_toy OUT STEPS STARTS` trains all as one rank.

In the folder STARTS are a clip, a siglip and a bert. The joint batch is the same however many ranks there are; two of
them get unequal parts of it.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from isthmus.checkpoints import resolve
from isthmus.connectors import QFormer, Stage1
from isthmus.contrastive.tokenizer import load_tokenizer
from isthmus.images.views import Box, View, Views
from isthmus.training.contrast_recipe import ContrastPolicy, QFormerPolicy
from isthmus.training.contrasting import Contrast, ContrastTask
from isthmus.training.dual_tuning import load_dual
from isthmus.training.loop import LoopSettings, train
from isthmus.training.pairs import Pairs
from isthmus.training.policy import Learns
from isthmus.training.stage1 import Reading, Stage1Task
from isthmus.vision.features import Features
from tests.connectors.samples import SMALL

KINDS = ("softmax", "sigmoid", "stage1")
CAPTIONS = ("a cat on a table", "two dogs run", "a cat on a table", "一只猫", "a cup of coffee", "two dogs run")
PARTS = {1: ((0, 6),), 2: ((0, 4), (4, 6))}
ALL = ContrastPolicy(*(Learns(0.001, 0.01) for _ in range(5)))
NO_HEADS = ContrastPolicy(image_tower=Learns(0.001), text_tower=Learns(0.001), temperature=Learns(0.01))


class Joint:
    """This rank's part of each joint batch of six, in which two captions come twice, on different ranks too."""

    def __init__(self, kind: str, rank: int, ranks: int) -> None:
        self.kind, self.at, self.part = kind, 0, slice(*PARTS[ranks][rank])

    def __next__(self) -> Pairs:
        random = np.random.default_rng(self.at)
        places = tuple(f"draw {self.at}, pair {at}" for at in range(6))
        made = Pairs(self._shown(random), CAPTIONS[self.part], places[self.part], self.at)
        self.at += 1
        return made

    def _shown(self, random: np.random.Generator) -> tuple[Views, ...] | Features:
        if self.kind == "stage1":
            tokens = torch.from_numpy(random.normal(size=(6, 7, 12)).astype(np.float32))[self.part]
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
            return Features(tokens, mask, torch.zeros(*tokens.shape[:2], 4), tokens[:, 0])
        pixels = random.normal(size=(6, 3, 32, 32)).astype(np.float32)[self.part]
        return tuple(Views((View(each, Box(0, 0, 32, 32)),), 32, 32) for each in pixels)

    def state(self) -> dict[str, int]:
        return {"at": self.at}

    def resume(self, state: dict[str, int]) -> None:
        self.at = state["at"]


def stage1(starts: Path) -> Reading:
    checkpoint = resolve(str(starts / "bert"))
    tokenizer = load_tokenizer(checkpoint, max_tokens=SMALL.max_text)
    torch.manual_seed(3)
    config = replace(SMALL, vocabulary=tokenizer.backend.get_vocab_size() + 1)
    return Reading(Stage1(QFormer(config), 6, start_token=config.vocabulary - 1), tokenizer, seed=0)


def task(kind: str, starts: Path):
    if kind == "stage1":
        return Stage1Task(stage1(starts), QFormerPolicy(Learns(0.001), words=True))
    family = "clip" if kind == "softmax" else "siglip"
    policy = ALL if kind == "softmax" else NO_HEADS
    return ContrastTask(Contrast(load_dual(str(starts / family), "cpu"), kind), policy)


def train_all(out: Path, steps: int, starts: Path) -> None:
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    settings = LoopSettings(steps, precision="float32", checkpoint_every=5)
    for kind in KINDS:
        ended = train(task(kind, starts), Joint(kind, rank, ranks), settings, out / kind, quiet=True)
        if rank == 0:
            print(json.dumps({"kind": kind, "why": ended.why}))


if __name__ == "__main__":
    train_all(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
