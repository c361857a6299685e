"""How much of a batch is padding, and what a token costs, in plain order, by length and packed.

Half of the conversations are captions of 3 to 12 words of a picture of 64 tokens, a quarter short questions about one,
a quarter texts of 40 to 300 words. A step: forward and backward through a language model of SmolLM2-135M's width and
six layers, random, to the connector; pictures are encoded in it.

    OMP_NUM_THREADS=1 python -m benchmarks.arranging [--batches 6] [--turns 3] [--json]

Costs are CPU time a token that is none of padding, relative to plain order; medians over turns.
"""

import argparse
import random
import statistics
import time
from itertools import islice

import torch
from benchmarks.machine import show
from tests.vlm.models import CORPUS, byte_bpe, picture
from transformers import LlamaConfig, LlamaForCausalLM

from isthmus.connectors.mlp import MlpConnector
from isthmus.data.example import Example
from isthmus.data.mixture import Mixture
from isthmus.images.fits import Crop
from isthmus.messages import assistant, user
from isthmus.training.answering import AnsweringTask, Conversations
from isthmus.training.arranged import Arrange
from isthmus.training.conversations import ConversationBatches
from isthmus.training.padding import padding
from isthmus.training.policy import Learns, Policy
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.vit import VisionConfig, VisionTransformer
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import ChatML

RECORDS = 600
WAYS: dict[str, tuple[Arrange, int, int | None]] = {
    "plain order, 8 rows": ("order", 8, None),
    "length, 8 rows": ("length", 8, None),
    "packed, 1 row of 1024": ("packed", 1, 1024),
    "packed, 2 rows of 512": ("packed", 2, 512),
}


class Mixed:
    """Examples, drawn from a seed."""

    name = "mixed"

    def __len__(self) -> int:
        return RECORDS

    def __getitem__(self, at: int) -> Example:
        chances = random.Random(at)
        words = " ".join(CORPUS[:4]).split()
        kind = chances.choices(("caption", "question", "text"), (2, 1, 1))[0]
        count = {"caption": chances.randint(3, 12), "question": 1, "text": chances.randint(40, 300)}[kind]
        answer = " ".join(chances.choices(words, k=count))
        if kind == "text":
            return Example((user("Go on."), assistant(answer)), f"record {at}")
        asked = "Describe the picture." if kind == "caption" else "How many dogs are there?"
        return Example((user(picture(at % 16, 80, 60), asked), assistant(answer)), f"record {at}")


def composed() -> VisionLanguageModel:
    torch.manual_seed(0)
    tower = VisionTransformer(VisionConfig(width=64, layers=2, heads=4, mlp_width=128, patch=8, grid=8))
    encoder = VitEncoder("tiny", tower, Crop(size=64), weights="random")
    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=6,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=1024,
        max_position_embeddings=2048,
    )
    return VisionLanguageModel(encoder, MlpConnector(64, 576), LlamaForCausalLM(config).eval(), byte_bpe(), ChatML())


def rows_of(batch: Conversations) -> list[int]:
    """Tokens of each row."""
    lengths = iter([len(sample.ids) for sample in batch.samples])
    return [sum(islice(lengths, count)) for count in batch.rows or (1,) * len(batch.samples)]


def cost(task: AnsweringTask, batches: list[Conversations]) -> float:
    """CPU seconds a token."""
    begun = time.process_time()
    for batch in batches:
        task.module(batch, 1)["loss"].backward()
    return (time.process_time() - begun) / sum(sum(rows_of(batch)) for batch in batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = composed()
    task = AnsweringTask(model, Policy(connector=Learns(1e-4)))
    task.module.train()
    every: dict[str, list[Conversations]] = {}
    shares: dict[str, float] = {}
    for name, (arrange, rows, tokens) in WAYS.items():
        reading = ConversationBatches(model, Mixture([Mixed()], seed=0), rows, arrange=arrange, tokens=tokens)
        found = [next(reading) for _ in range(60)]
        shares[name] = padding([rows_of(batch) for batch in found])
        every[name] = found[: options.batches]
    costs: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(options.turns + 1):
        for name in WAYS:
            spent = cost(task, every[name])
            if turn:  # the first one warms up
                costs[name].append(spent)
    plain = statistics.median(costs["plain order, 8 rows"])
    rows_shown: list[dict[str, object]] = [
        {"batches": name, "padding": shares[name], "cost of a token": statistics.median(costs[name]) / plain}
        for name in WAYS
    ]
    notes = [f"padding: of 60 batches; cost: {options.batches} batches, {options.turns} turns after one to warm up"]
    show("padding and what a token costs", rows_shown, notes, options.json)


if __name__ == "__main__":
    main()
