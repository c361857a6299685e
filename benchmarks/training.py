"""What the loop costs over bare PyTorch, and what kept features save from the second epoch on.

Overhead: the same batches through `loop.train` and through the ten lines one would write instead (forward, backward,
clipping, AdamW, a schedule), in turns of STEPS steps; the loop logs each step and keeps its checkpoint at the end.
Samples a second: a whole step of training, pictures opened from JPEG, encoded, and the connector trained, with a
FeatureCache that knows them against none. One model is the default one; the other is a CLIP ViT-L/14 at 224 pixels
before BLIP-2's Q-Former and a language model of SmolLM2-135M's shape, all random.

    OMP_NUM_THREADS=1 python -m benchmarks.training [--pairs 7] [--only overhead cache] [--json]

Ratios are of CPU time, medians over pairs, with the middle half of these.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.machine import show
from benchmarks.random_vlms import smollm2
from tests.vlm.models import byte_bpe, picture
from transformers import get_cosine_schedule_with_warmup

from isthmus.connectors.qformer import QFormerConfig, QFormerConnector
from isthmus.data.mixture import Mixture
from isthmus.data.open import open_data
from isthmus.images.fits import Crop
from isthmus.training.answering import AnsweringTask, Conversations
from isthmus.training.conversations import ConversationBatches
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.loop import LoopSettings, train
from isthmus.training.policy import Learns, Policy
from isthmus.training.recipe import read_recipe
from isthmus.training.shipped import recipe_file
from isthmus.training.tune_recipe import TuneRecipe
from isthmus.vision.encoder import VitEncoder
from isthmus.vision.vit import VisionConfig, VisionTransformer
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.template import ChatML

PICTURES, BATCH, STEPS = 16, 4, 10
"""`BATCH` is the loop's; with kept features the batch is that of the recipe which trains such a model's connector."""
CONNECTOR = Policy(connector=Learns(1e-4))
CAPTIONS = ("a cat on a wooden table", "two dogs run along the beach", "a small red apple", "a black dog in the snow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=("overhead", "cache"), default=["overhead", "cache"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs(folder / "pairs")
        for label, make, recipe in (
            ("default/vlm", partial(load_vlm, "default/vlm"), "llava_align"),
            ("ViT-L/14, Q-Former", large, "blip2_stage2"),
        ):
            model = make()
            if "overhead" in options.only and label == "default/vlm":
                rows.append(overhead(label, model, folder, options.pairs))
            if "cache" in options.only:
                rows.append(caching(label, model, folder, options.pairs, batch_of(recipe)))
    notes = [
        f"{options.pairs} pairs in random order after one to warm up, one thread; [..]: the middle half of the ratios",
        f"{PICTURES} JPEG pictures of 640 x 480; the connector alone learns",
        f"the loop: {STEPS} steps of {BATCH} a turn, each logged, its checkpoint at the end",
    ]
    show("the loop over bare PyTorch, and kept features", rows, notes, options.json)


def batch_of(name: str) -> int:
    recipe = read_recipe(recipe_file(name))
    assert isinstance(recipe, TuneRecipe)
    return recipe.stages[0].batch


def photographs(folder: Path) -> None:
    folder.mkdir(parents=True)
    for at in range(PICTURES):
        picture(at, 640, 480).save(folder / f"{at:02}.jpg", quality=90)
        (folder / f"{at:02}.txt").write_text(CAPTIONS[at % len(CAPTIONS)])


def large() -> VisionLanguageModel:
    torch.manual_seed(0)
    shape = VisionConfig(
        width=1024,
        layers=24,
        heads=16,
        mlp_width=4096,
        patch=14,
        grid=16,
        class_token=True,
        pre_norm=True,
        pool="class",
    )
    tower = VisionTransformer(shape)
    fit = Crop(224, mean=(0.5,) * 3, std=(0.5,) * 3)
    encoder = VitEncoder("ViT-L/14", tower, fit, weights="random")
    return VisionLanguageModel(
        encoder, QFormerConnector(QFormerConfig(1024, 576)), smollm2(), byte_bpe(), ChatML(), name="large"
    )


def overhead(label: str, model: VisionLanguageModel, folder: Path, pairs: int) -> dict[str, object]:
    task = AnsweringTask(model, CONNECTOR)
    mixture = Mixture([open_data(str(folder / "pairs"))], seed=0)
    reading = ConversationBatches(model, mixture, BATCH)
    batches = [next(reading) for _ in range(STEPS)]

    def looped() -> None:
        with tempfile.TemporaryDirectory() as out:
            train(task, Again(batches), LoopSettings(STEPS, precision="float32"), Path(out), quiet=True)

    def bare() -> None:
        groups = [{"params": list(group.parameters), "lr": group.rate} for group in task.groups()]
        optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        schedule = get_cosine_schedule_with_warmup(optimiser, 0, STEPS)
        model.train()
        for batch in batches:
            loss = model(batch.samples, batch.features).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.connector.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()

    return compared(label, "loop / bare", looped, bare, pairs, STEPS, "step")


def caching(label: str, model: VisionLanguageModel, folder: Path, pairs: int, batch: int) -> dict[str, object]:
    task = AnsweringTask(model, CONNECTOR)
    cache = FeatureCache.open(folder / label.replace("/", "-"), model.encoder)
    optimiser = torch.optim.AdamW(model.connector.parameters(), lr=1e-5)

    def epoch(cached: Any) -> None:
        mixture = Mixture([open_data(str(folder / "pairs"))], seed=0)
        batches = ConversationBatches(model, mixture, batch, cached=cached)
        for _ in range(PICTURES // batch):
            some = next(batches)
            task.module(some, task.weight(some))["loss"].backward()
            optimiser.step()
            optimiser.zero_grad()

    epoch(cache.encode)  # the first one fills it
    model.train()
    return compared(
        label,
        f"kept / encoded, batches of {batch}",
        lambda: epoch(cache.encode),
        lambda: epoch(None),
        pairs,
        PICTURES,
        "sample",
    )


class Again:
    def __init__(self, batches: list[Conversations]) -> None:
        self._batches, self._at = batches, 0

    def __next__(self) -> Conversations:
        self._at += 1
        return self._batches[self._at - 1]

    def state(self) -> dict[str, Any]:
        return {"at": self._at}

    def resume(self, state: dict[str, Any]) -> None:
        self._at = state["at"]


def compared(
    label: str, what: str, ours: Callable[[], None], other: Callable[[], None], pairs: int, parts: int, unit: str
) -> dict[str, object]:
    draw, times = random.Random(0), {ours: [], other: []}
    for at in range(pairs + 1):
        for side in draw.sample([ours, other], 2):
            start = time.process_time()
            side()
            if at:
                times[side].append((time.process_time() - start) / parts)
    ratios = sorted(a / b for a, b in zip(times[ours], times[other], strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-len(ratios) // 4 - 1] if len(ratios) > 3 else ratios[-1]
    return {
        "model": label,
        "what": what,
        "a": unit,
        "ms": 1e3 * statistics.median(times[ours]),
        "ms, other": 1e3 * statistics.median(times[other]),
        "ratio": round(statistics.median(ratios), 3),
        "middle half": f"[{low:.3f}, {high:.3f}]",
    }


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
