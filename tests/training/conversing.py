"""Conversations of mixed lengths, with pictures and without, for a tiny composed model; and its training as one rank.

`python -m tests.training.conversing OUT` trains connector and LoRA in each arrangement, as one rank of however many
there are. What each batch of this rank held is written to OUT/ARRANGE/seen-RANK.jsonl.
"""

import json
import sys
from collections.abc import Collection
from pathlib import Path

import torch
from accelerate import PartialState

from isthmus.data.example import Example
from isthmus.data.mixture import Mixture
from isthmus.data.report import Report
from isthmus.messages import assistant, user
from isthmus.training.answering import AnsweringTask, Conversations
from isthmus.training.arranged import Arrange
from isthmus.training.conversations import ConversationBatches
from isthmus.training.loop import LoopSettings, train
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.vlm.model import VisionLanguageModel
from tests.vlm import models

WORDS = models.CORPUS[1].split()
BATCH = 3
ROW = 110
"""Tokens of a packed row."""
ARRANGED: dict[Arrange, int | None] = {"order": None, "length": None, "packed": ROW}
STEPS: dict[Arrange, int] = {"order": 50, "length": 20, "packed": 20}
LEARNS = Policy(connector=Learns(1e-3), lora=LoraLearns(1e-3, rank=2))


class Mixed:
    """Examples: of each three one is a text and two show a picture, or two; those at `damaged` show a broken file."""

    def __init__(self, size: int, damaged: Collection[int] = (), name: str = "mixed") -> None:
        self.name, self.size, self.damaged = name, size, damaged

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, at: int) -> Example:
        words = 1 + at * 11 % 17
        answer = " ".join(WORDS[(at + word) % len(WORDS)] for word in range(words))
        if at % 3 == 0 and at not in self.damaged:
            said = (user("Describe it."), assistant(answer))
        else:
            shown = [b"\x89PNG nothing" if at in self.damaged else models.picture(at)] * (1 + at % 2)
            said = (user(*shown, "What is in the picture?"), assistant(answer))
        return Example(said, f"{self.name}, record {at}")


def batches(
    model: VisionLanguageModel,
    arrange: Arrange,
    *,
    size: int = 31,
    damaged: Collection[int] = (),
    rank: int = 0,
    world: int = 1,
    report: Report | None = None,
) -> ConversationBatches:
    mixture = Mixture([Mixed(size, damaged)], seed=3, rank=rank, world=world, report=report)
    return ConversationBatches(model, mixture, BATCH, arrange=arrange, tokens=ARRANGED[arrange])


class Noting(ConversationBatches):
    """Writes what it gives to a file."""

    path: Path

    def __next__(self) -> Conversations:
        batch = super().__next__()
        line = {"places": batch.places, "pictures": 0 if batch.features is None else len(batch.features.tokens)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return batch


def learn(out: Path, steps: dict[Arrange, int], accumulate: int = 1) -> None:
    state = PartialState(cpu=True)
    for arrange, count in steps.items():
        torch.manual_seed(0)
        model = models.model()
        task = AnsweringTask(model, LEARNS)
        drawn = batches(model, arrange, rank=state.process_index, world=state.num_processes)
        drawn.__class__ = Noting
        drawn.path = out / arrange / f"seen-{state.process_index}.jsonl"
        settings = LoopSettings(count, accumulate=accumulate, precision="float32")
        ended = train(task, drawn, settings, out / arrange, quiet=True)
        if state.is_main_process:
            print(json.dumps({"arrange": arrange, "step": ended.step, "why": ended.why}))


if __name__ == "__main__":
    learn(Path(sys.argv[1]), STEPS)
