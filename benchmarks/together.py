"""Eight answers made together against one at a time, by NativeBackend on a random LLaVA-1.5 of medium size.

Timed are the further tokens alone, once every prompt is read (tokens a second of all answers), and the whole way from
the asking to the last token. Pictures and questions differ; each round has both, in random order.

    OMP_NUM_THREADS=1 python -m benchmarks.together [--rounds 7] [--tokens 32] [--streams 8] [--threads 1] [--json]
"""

import argparse
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from benchmarks.machine import show
from benchmarks.random_vlms import FAMILIES
from benchmarks.vlm import interval, photo

from isthmus.backends.backend import Options
from isthmus.backends.native import NativeBackend
from isthmus.messages import user
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel

GOAL = 3.0


@dataclass(frozen=True)
class Speed:
    """Tokens a second of the wall: once all prompts were read, and of the whole; and of processor time."""

    further: float
    whole: float
    further_cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        FAMILIES[0].write("medium", Path(folder))
        model = load_vlm(folder, dtype=torch.float32)
    draw = random.Random(0)
    rounds: list[dict[int, Speed]] = []
    for at in range(options.rounds + 1):
        counts = [1, options.streams]
        draw.shuffle(counts)
        speeds = {count: speed(model, count, options.tokens, 100 * at + count) for count in counts}
        if at:  # the first warms up
            rounds.append(speeds)
    rows = []
    names = {"further": "further tokens", "further_cpu": "further tokens, CPU time", "whole": "whole answers"}
    several = options.streams
    for what, name in names.items():
        ratios = [getattr(each[options.streams], what) / getattr(each[1], what) for each in rounds]
        low, high = interval(ratios)
        rows.append(
            {
                "tokens/s": name,
                "one": statistics.median(getattr(each[1], what) for each in rounds),
                f"{several} together": statistics.median(getattr(each[several], what) for each in rounds),
                "ratio": round(statistics.median(ratios), 2),
                "95 %": f"[{low:.2f}, {high:.2f}]",
                "goal": GOAL if what != "whole" else "",
            }
        )
    notes = [
        f"{options.rounds} rounds after one to warm up, {options.tokens} tokens an answer, {options.threads} thread(s)",
        "float32, prompts of about 260 tokens",
        "prompts are read one by one, which no batch makes faster on a processor; further tokens share a step",
    ]
    show(f"{options.streams} answers together against one at a time", rows, notes, options.json)


def speed(model: VisionLanguageModel, count: int, tokens: int, seed: int) -> Speed:
    backend = NativeBackend(model, together=count)
    asked = [[user(photo(seed + at), f"What is in picture {seed + at}?")] for at in range(count)]
    steps: list[tuple[float, float]] = []

    def note(_: Any, __: Any, given: dict[str, Any], ___: Any) -> None:
        """Steps in which all answers took part."""
        ids = given.get("input_ids")
        if ids is not None and tuple(ids.shape) == (count, 1):
            steps.append((time.perf_counter(), time.process_time()))

    handle = model.language_model.base_model.register_forward_hook(note, with_kwargs=True)
    start = time.perf_counter()
    streams = [backend.stream(each, options=Options(max_tokens=tokens)) for each in asked]
    for stream in streams:
        next(stream)
    made = sum(delta.finish.usage.completion_tokens for stream in streams for delta in stream if delta.finish)
    end = time.perf_counter()
    handle.remove()
    assert made == count * tokens
    (first, first_cpu), (last, last_cpu) = steps[0], steps[-1]
    together = count * (len(steps) - 1)
    return Speed(together / (last - first), made / (end - start), together / (last_cpu - first_cpu))


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    main()
