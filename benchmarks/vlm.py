"""Our LLaVA-1.5 and BLIP-2 (OPT) against transformers' own classes, on the same random weights in the same run.

Asked: a PIL picture and a question in, text out, greedy, by NativeBackend here and by processor and `.generate` there.
Timed are the first token, each further one, and the first token of a second question about the same picture, which is
nothing special to transformers. Trained: forward and backward of one step in which the connector alone learns, here on
features encoded before, there with the encoder in the step (its pixels are made before); with one question a picture,
and, with half as many pictures, with six, which share one reading of it here and are six rows there. The picture is
another one in each repeat.
Before anything is timed, both sides are held to each other: prompt ids, tokens, loss, gradient.

    OMP_NUM_THREADS=1 python -m benchmarks.vlm [--sizes tiny medium] [--dtypes float32 bfloat16] [--pairs 9]
        [--no-training] [--threads 1] [--quick] [--json]

Ratios are ours / theirs, each pair in random order, with a 95 % bootstrap interval of their median; below 1, ours is
faster. On shared cores CPU time holds where wall time does not. `--quick`: two pairs of the tiny size.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from benchmarks.machine import show
from benchmarks.random_vlms import FAMILIES, SIZES, Both
from PIL import Image, ImageOps
from tests.vlm.models import picture
from torch import Tensor

from isthmus.backends.backend import Options, complete
from isthmus.backends.native import NativeBackend
from isthmus.images.open import picture_of
from isthmus.messages import Message, assistant, user
from isthmus.vision.features import Features
from isthmus.vlm.branches import forward_branches
from isthmus.vlm.prompt_tokenizer import PICTURE
from isthmus.vlm.sequence import IGNORE, Extent, Sample

QUESTIONS = ("What is in the picture?", "how many dogs run along the beach")
CAPTIONS = (
    "A cat on a wooden table, next to a cup of coffee.",
    "two dogs run along the beach",
    "a small red apple is left of the green pear.",
    "a black dog and a white cat run.",
)
"""One for each picture of a training step, as in alignment."""

ASKED = (
    ("What is in the picture?", "a cat"),
    ("how many dogs run along the beach", "two"),
    ("Is there a cup?", "no"),
    ("What is left of the pear?", "a small red apple"),
    ("Describe the picture.", "a black dog and a white cat run."),
    ("What colour is the cat?", "white"),
)
"""Of one picture, as in instruction tuning."""

TOKENS = 9
"""Of an answer: the first one and eight further."""

GOALS = {
    "first token": 0.8,
    "first token, after others": 0.8,
    "further token": 1.0,
    "second question": 0.3,
    "training step": 1 / 3,
    "training step, six questions": 1 / 3,
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TIE = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""How close two tokens' logits must be, in standard deviations of all, for either to be the likeliest on one side."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--no-training", action="store_true", help="answers alone")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes, pairs = (["tiny"], 2) if options.quick else (options.sizes, options.pairs)
    table: list[dict[str, object]] = []
    shares: list[str] = []
    parted = asked = 0
    for size in sizes:
        for family in FAMILIES:
            with tempfile.TemporaryDirectory() as name:
                family.write(size, Path(name))
                for dtype in options.dtypes:
                    label = f"{family.name}, {size}, {dtype}"
                    print(label, file=sys.stderr, flush=True)
                    both = family.load(Path(name), DTYPES[dtype])
                    # A tiny model's milliseconds scatter more and cost nothing.
                    several = 5 if size == "tiny" and not options.quick else 1
                    timed = compare(both, pairs * several, training_too=not options.no_training)
                    table += [row(label, what, figure) for what, figure in timed.figures.items() if figure.ours]
                    parted, asked = parted + timed.parted, asked + timed.asked
                    if timed.encoding:
                        shares.append(f"{label}: {100 * statistics.median(timed.encoding):.0f} %")
    count = Counter(str(each["by CPU"]) for each in table)
    notes = [
        f"transformers {transformers.__version__}, sdpa on both sides, {torch.get_num_threads()} thread(s)",
        f"{pairs} pairs after one to warm up, 5 times as many of tiny; 640 x 480 pictures; {TOKENS} tokens an answer",
        f"training step: {len(CAPTIONS)} pictures, a question and a caption each, or half as many with {len(ASKED)} "
        "questions and answers each; the connector alone learns",
        "times are medians of wall time in ms; [..]: 95 % interval of the median ratio",
        f"met or missed: the whole interval is; even: the goal is within it. By CPU time {dict(count)}",
        f"{parted} of {asked} answers went on differently behind two tokens equally likely within rounding",
    ]
    if shares:
        notes.append(
            f"the encoder's share of transformers' training step, which kept features save: {'; '.join(shares)}"
        )
    show("LLaVA-1.5 and BLIP-2 against transformers", table, notes, options.json)


@dataclass(frozen=True)
class Spent:
    """Seconds."""

    wall: float
    cpu: float

    @staticmethod
    def now() -> "Spent":
        return Spent(time.perf_counter(), time.process_time())

    def since(self, start: "Spent", parts: int = 1) -> "Spent":
        return Spent((self.wall - start.wall) / parts, (self.cpu - start.cpu) / parts)


@dataclass
class Figure:
    """The pairs of one comparison."""

    ours: list[Spent] = field(default_factory=list)
    theirs: list[Spent] = field(default_factory=list)

    def add(self, ours: Spent, theirs: Spent) -> None:
        self.ours.append(ours)
        self.theirs.append(theirs)

    def ratios(self, clock: str) -> list[float]:
        return [getattr(a, clock) / getattr(b, clock) for a, b in zip(self.ours, self.theirs, strict=True)]


@dataclass
class Timed:
    """Figures by what was timed; of how many answers, how many parted at a tie; the encoder's share of each of their
    training steps, in CPU time."""

    figures: dict[str, Figure] = field(default_factory=lambda: {what: Figure() for what in GOALS})
    asked: int = 0
    parted: int = 0
    encoding: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Answered:
    """An answer: its text and token ids, the logits [V] each was chosen by, the prompt's ids, and what it took."""

    text: str
    ids: list[int]
    logits: list[Tensor]
    prompt: list[int]
    first: Spent
    further: Spent


def compare(both: Both, pairs: int, warm: int = 1, tokens: int = TOKENS, *, training_too: bool = True) -> Timed:
    """Both sides at equal work, in turns. Raises AssertionError where the work is not equal."""
    draw, timed = random.Random(0), Timed()
    shown = [[photo(-1 - at - len(CAPTIONS) * i) for at in range(len(CAPTIONS))] for i in (0, 1)]
    batches: dict[str, list[Batch]] = {}
    if training_too:
        halves = [two[: len(two) // 2] for two in shown]
        batches = {
            "training step": [training_batch(both, each, captioned()) for each in shown],
            "training step, six questions": [training_batch(both, half, [ASKED] * len(half)) for half in halves],
        }
    for batch in (batch for each in batches.values() for batch in each):
        assert_equal_steps(both, batch)
    for at in range(pairs + warm):
        shown = photo(at)
        asked = in_turns(
            draw,
            lambda shown=shown: ask_ours(both, shown, tokens),
            lambda shown=shown: ask_theirs(both, shown, tokens),
        )
        for ours, theirs in zip(*asked, strict=True):
            timed.asked += 1
            timed.parted += not assert_equal_answers(both, ours, theirs)
        steps, shares = {}, {}
        for what, two in batches.items():
            with training(both), encoder_time(both) as encoding:
                steps[what] = in_turns(
                    draw,
                    lambda batch=two[at % 2]: timed_step(lambda: step_ours(both, batch)),
                    lambda batch=two[at % 2]: timed_step(lambda: step_theirs(both, batch)),
                )
            shares[what] = sum(encoding) / steps[what][1].cpu
        if at < warm:
            continue
        (ours, ours_again, ours_other), (theirs, theirs_again, theirs_other) = asked
        timed.figures["first token"].add(ours.first, theirs.first)
        timed.figures["first token, after others"].add(ours_other.first, theirs_other.first)
        timed.figures["further token"].add(ours.further, theirs.further)
        timed.figures["second question"].add(ours_again.first, theirs_again.first)
        for what, trained in steps.items():
            timed.figures[what].add(*trained)
        if shares:
            timed.encoding.append(shares["training step"])
    return timed


def in_turns(draw: random.Random, ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[Any, Any]:
    """What both return, called in random order."""
    if draw.random() < 0.5:
        mine = ours()
        return mine, theirs()
    its = theirs()
    return ours(), its


def photo(seed: int) -> Image.Image:
    return picture(seed % 2**32, 640, 480)


def ask_ours(both: Both, shown: Image.Image, tokens: int) -> list[Answered]:
    """Both questions in dialogues of their own, by a backend that has seen nothing yet; then one about another picture,
    as a server is asked that has answered others."""
    backend = NativeBackend(both.ours)
    answers = [_ask_ours(both, backend, [user(shown, question)], tokens) for question in QUESTIONS]
    return [*answers, _ask_ours(both, backend, [user(another(shown), QUESTIONS[0])], tokens)]


def _ask_ours(both: Both, backend: NativeBackend, messages: list[Message], tokens: int) -> Answered:
    with head_calls(both.ours.language_model) as calls:
        start = Spent.now()
        reply = complete(backend, messages, Options(tokens))
        end = Spent.now()
    logits = [each for each, _ in calls]
    ids = [int(each.argmax()) for each in logits]
    first = calls[0][1]
    assert reply.usage.completion_tokens == len(ids) == tokens
    shown = reply.usage.picture_tokens
    assert shown is not None
    prompt = with_image(both, both.ours.sample(messages, [Extent(shown)], prompt=True).ids)
    assert reply.usage.prompt_tokens == len(prompt)
    return Answered(reply.text, ids, logits, prompt, first.since(start), end.since(first, tokens - 1))


def ask_theirs(both: Both, shown: Image.Image, tokens: int) -> list[Answered]:
    answers = [_ask_theirs(both, [user(shown, question)], tokens) for question in QUESTIONS]
    return [*answers, _ask_theirs(both, [user(another(shown), QUESTIONS[0])], tokens)]


def another(shown: Image.Image) -> Image.Image:
    return ImageOps.mirror(shown)


def _ask_theirs(both: Both, messages: list[Message], tokens: int) -> Answered:
    text, (shown,) = both.text(messages), messages[0].pictures
    with head_calls(both.theirs) as calls:
        start = Spent.now()
        inputs = both.processor(images=shown.source, text=text, return_tensors="pt").to(both.theirs.dtype)
        out = both.theirs.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        read = inputs["input_ids"].shape[1]
        answer = both.processor.batch_decode(out[:, read:], skip_special_tokens=True)[0].strip()
        end = Spent.now()
    ids, first = out[0, read:].tolist(), calls[0][1]
    assert len(ids) == len(calls) == tokens
    prompt, logits = inputs["input_ids"][0].tolist(), [each for each, _ in calls]
    return Answered(answer, ids, logits, prompt, first.since(start), end.since(first, tokens - 1))


@contextmanager
def head_calls(model: Any) -> Iterator[list[tuple[Tensor, Spent]]]:
    """The last logits [V] of each call of the model's head, and when they were there: one call a token."""
    calls: list[tuple[Tensor, Spent]] = []

    def note(_: Any, __: Any, out: Tensor) -> None:
        calls.append((out.flatten(0, -2)[-1], Spent.now()))

    handle = model.get_output_embeddings().register_forward_hook(note)
    try:
        yield calls
    finally:
        handle.remove()


def with_image(both: Both, ids: Sequence[int]) -> list[int]:
    return [both.image if id_ == PICTURE else id_ for id_ in ids]


def assert_equal_answers(both: Both, ours: Answered, theirs: Answered) -> bool:
    """The same prompt and as many tokens, and these the same: what is returned. Else they part at a tie."""
    assert ours.prompt == theirs.prompt
    assert len(ours.ids) == len(theirs.ids)
    if ours.ids == theirs.ids:
        assert ours.text == theirs.text
        return True
    at = next(at for at, (a, b) in enumerate(zip(ours.ids, theirs.ids, strict=True)) if a != b)
    for logits in (ours.logits[at].float(), theirs.logits[at].float()):
        spoken = logits[logits != 0]  # the rows of the head that are not zero
        apart = float((logits[ours.ids[at]] - logits[theirs.ids[at]]).abs() / spoken.std())
        assert apart <= TIE[both.theirs.dtype], f"token {at} differs, and is {apart:.2g} from a tie"
    return False


@dataclass(frozen=True)
class Batch:
    """One training step's: each picture's samples, and the features of all; there the processor's tensors and
    labels."""

    groups: list[list[Sample]]
    features: Features
    inputs: dict[str, Tensor]


def captioned() -> list[list[tuple[str, str]]]:
    return [[(QUESTIONS[0], caption)] for caption in CAPTIONS]


def training_batch(both: Both, pictures: Sequence[Image.Image], asked: Sequence[Sequence[tuple[str, str]]]) -> Batch:
    """`asked`: of each picture, questions and answers."""
    model = both.ours
    said = [
        [[user(each, question), assistant(answer)] for question, answer in of_it]
        for each, of_it in zip(pictures, asked, strict=True)
    ]
    at_least = model.encoder.fit.at_least
    features = model.encode([picture_of(each, at_least=at_least) for each in pictures])
    groups = [
        [model.sample(each, [extent]) for each in of_it]
        for of_it, extent in zip(said, model.extents(features), strict=True)
    ]
    samples = [sample for group in groups for sample in group]
    texts = [both.text(each) for of_it in said for each in of_it]
    images = [each for each, of_it in zip(pictures, said, strict=True) for _ in of_it]
    inputs = both.processor(images=images, text=texts, padding=True, return_tensors="pt")
    inputs = dict(inputs.to(both.theirs.dtype))
    labels = torch.full_like(inputs["input_ids"], IGNORE)
    for at, sample in enumerate(samples):
        labels[at, : len(sample.labels)] = torch.tensor(sample.labels)
        read = inputs["input_ids"][at][inputs["attention_mask"][at].bool()].tolist()
        assert read == with_image(both, sample.ids)
    return Batch(groups, features, {**inputs, "labels": labels})


def step_ours(both: Both, batch: Batch) -> Tensor:
    both.ours.zero_grad(set_to_none=True)
    if all(len(group) == 1 for group in batch.groups):
        loss = both.ours([sample for group in batch.groups for sample in group], batch.features).loss
    else:
        loss = forward_branches(both.ours, batch.groups, both.ours.connect(batch.features)).loss
    loss.backward()
    return loss.detach()


def step_theirs(both: Both, batch: Batch) -> Tensor:
    both.theirs.zero_grad(set_to_none=True)
    loss: Tensor = both.theirs(**batch.inputs).loss
    loss.backward()
    return loss.detach()


@contextmanager
def encoder_time(both: Both) -> Iterator[list[float]]:
    """CPU seconds of each forward of their encoder."""
    spent: list[float] = []
    begun: list[float] = []

    def note(*_: Any) -> None:
        spent.append(time.process_time() - begun.pop())

    before = both.encoder.register_forward_pre_hook(lambda *_: begun.append(time.process_time()))
    after = both.encoder.register_forward_hook(note)
    try:
        yield spent
    finally:
        before.remove()
        after.remove()


def timed_step(step: Callable[[], Tensor]) -> Spent:
    start = Spent.now()
    step()
    return Spent.now().since(start)


def assert_equal_steps(both: Both, batch: Batch) -> None:
    """The same loss and a gradient of the same length, without dropout."""
    ours, theirs = step_ours(both, batch), step_theirs(both, batch)
    near = 1e-3 if both.theirs.dtype == torch.float32 else 0.1
    assert abs(ours - theirs) <= near * theirs, f"loss {ours:.4f}, theirs {theirs:.4f}"
    mine, its = gradient_norm(both.ours.parameters()), gradient_norm(both.theirs.parameters())
    assert abs(mine - its) <= near * its, f"gradient {mine:.4f}, theirs {its:.4f}"


@contextmanager
def training(both: Both) -> Iterator[None]:
    """The connectors in training mode; what is frozen stays in eval mode on both sides."""
    learning = [both.ours, *(each for each in both.trained if isinstance(each, torch.nn.Module))]
    for each in learning:
        each.train()
    try:
        yield
    finally:
        for each in learning:
            each.eval()


def gradient_norm(parameters: Iterator[Any]) -> Tensor:
    return torch.stack([each.grad.float().norm() for each in parameters if each.grad is not None]).norm()


def row(model: str, what: str, figure: Figure) -> dict[str, object]:
    cpu, wall = figure.ratios("cpu"), figure.ratios("wall")
    return {
        "model": model,
        "what": what,
        "ours ms": 1e3 * statistics.median(each.wall for each in figure.ours),
        "theirs ms": 1e3 * statistics.median(each.wall for each in figure.theirs),
        **compared(figure),
        "goal": round(GOALS[what], 2),
        "by CPU": verdict(cpu, GOALS[what]),
        "by wall": verdict(wall, GOALS[what]),
    }


def compared(figure: Figure) -> dict[str, object]:
    """Medians of the pairs' ratios by both clocks, each with its interval."""
    told: dict[str, object] = {}
    for name in ("CPU", "wall"):
        ratios = figure.ratios(name.lower())
        told[f"{name} ratio"] = round(statistics.median(ratios), 3)
        told[f"{name} 95 %"] = "[{:.2f}, {:.2f}]".format(*interval(ratios))
    return told


def verdict(ratios: Sequence[float], goal: float) -> str:
    """Where the whole interval lies; "even" where the goal is within it."""
    low, high = interval(ratios)
    return "met" if high <= goal else "missed" if low > goal else "even"


def interval(ratios: Sequence[float], draws: int = 2000) -> tuple[float, float]:
    """Of the median: the middle 95 % of the medians of as many ratios drawn with replacement."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(draws))
    return medians[draws // 40], medians[-draws // 40 - 1]


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.utils.logging.disable_progress_bar()
    main()
