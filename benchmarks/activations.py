"""Peak memory of a training step with activation checkpointing and without, each in a process of its own.

A language model of SmolLM2-135M's shape, random, float32, behind a tiny encoder and an MLP; four conversations of 512
tokens. What is counted is how far the process's peak rises in a step (forward and backward) above what it held before.

    OMP_NUM_THREADS=1 python -m benchmarks.activations [--tokens 512] [--json]
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from benchmarks.machine import show
from benchmarks.random_vlms import smollm2
from tests.vlm.models import byte_bpe, encoder, opened, picture

from isthmus.connectors.mlp import MlpConnector
from isthmus.messages import assistant, user
from isthmus.training.answering import AnsweringTask, Conversations
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import ChatML

POLICIES = {
    "connector": Policy(connector=Learns(1e-4)),
    "connector and LoRA": Policy(connector=Learns(1e-4), lora=LoraLearns(1e-4)),
    "all": Policy(connector=Learns(1e-4), language_model=Learns(1e-4)),
}
ROWS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("LEARNS", "HOW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        learns, how = options.one
        print(json.dumps(step(POLICIES[learns], how == "recomputed", options.tokens)))
        return
    rows: list[dict[str, object]] = []
    for learns in POLICIES:
        kept, again = (measured(learns, how, options.tokens) for how in ("kept", "recomputed"))
        rows.append(
            {
                "learns": learns,
                "kept, MB": kept["rise"] / 1e6,
                "recomputed, MB": again["rise"] / 1e6,
                "share": again["rise"] / kept["rise"],
                "CPU time": again["seconds"] / kept["seconds"],
            }
        )
    notes = [f"{ROWS} conversations of {options.tokens} tokens; the weights' own gradients are in both"]
    show("what a step's peak rises by", rows, notes, options.json)


def measured(learns: str, how: str, tokens: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.activations", "--one", learns, how, "--tokens", str(tokens)]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told


def step(policy: Policy, recomputed: bool, tokens: int) -> dict[str, float]:
    """Bytes by which the peak rises, and CPU seconds."""
    torch.manual_seed(0)
    model = VisionLanguageModel(
        encoder(), MlpConnector(32, 576), smollm2(), byte_bpe(), ChatML(), name="SmolLM2's shape"
    )
    task = AnsweringTask(model, policy, activation_checkpointing=recomputed)
    task.module.train()
    small, large = batch(model, 40), batch(model, tokens)
    task.module(small, 1)["loss"].backward()  # whatever is made once is made now
    before = peak()
    begun = time.process_time()
    task.module(large, 1)["loss"].backward()
    return {"rise": peak() - before, "seconds": time.process_time() - begun}


def batch(model: VisionLanguageModel, tokens: int) -> Conversations:
    features = model.encode([opened(picture(at)) for at in range(ROWS)])
    samples = []
    for at, extent in enumerate(model.extents(features)):
        words = "cat"
        while len((sample := model.sample([user(picture(at), "?"), assistant(words)], [extent])).ids) < tokens:
            words += " cat" * max(1, (tokens - len(sample.ids)) // 4)
        samples.append(sample)
    return Conversations(tuple(samples), features, ("",) * ROWS)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    main()
