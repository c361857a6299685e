"""Lab `frozen`'s runs: both ways of training in turn, step by step, with looks at the test pictures in between."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from isthmus.checkpoints import resolve
from isthmus.labs.asked_shapes import Shapes, shapes, without_looking
from isthmus.labs.english import TEXT
from isthmus.labs.frozen_or_full import Rates, Seconds, Trainee, accuracy, batches, perplexity, trainees
from isthmus.precision import fast_dtype
from isthmus.progress import Progress, progress
from isthmus.threads import keep_memory
from isthmus.training.batches import Asked
from isthmus.training.default_vlm import default_encoder
from isthmus.vision.depths import OVERVIEWS, DepthsEncoder
from isthmus.vision.efficientnet import load_efficientnet
from isthmus.vlm.language_model import LanguageModel, load_language_model
from isthmus.vlm.seal import require_seal, seal

ENCODER, LANGUAGE_MODEL = "default/efficientnet-lite0", "default/smollm2"


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `batch`: pictures of a step, of which all questions are asked; `looks`: steps after which both
    ways are tested; `large`: pictures of a step that is timed only, `large_steps` times.

    Each way's rates were chosen on training pictures that it was not trained on.
    """

    pictures: int = 400
    test: int = 80
    batch: int = 6
    looks: tuple[int, ...] = (8, 16, 30)
    large: int = 24
    large_steps: int = 2
    rates: Rates = field(default_factory=lambda: Rates(alone=3e-3, connector=1e-3, trained_before=1e-4, warmup=10))


@dataclass(frozen=True)
class Look:
    """At the test pictures: after so many steps and seconds of training."""

    step: int
    seconds: float
    accuracy: float


@dataclass
class Run:
    """One way. `bytes`: of weights, gradients, optimiser states; `perplexity`: before and after; `blind`: accuracy with
    zeros for pictures, at the end; `before`: seconds spent before the first step, on features that are kept."""

    parameters: int = 0
    bytes: tuple[int, int, int] = (0, 0, 0)
    small: list[Seconds] = field(default_factory=list)
    large: list[Seconds] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    perplexity: tuple[float, float] = (0.0, 0.0)
    blind: float = 0.0
    before: float = 0.0

    @property
    def seconds(self) -> float:
        return self.before + sum(each.total for each in self.small)


@dataclass(frozen=True)
class Course:
    """Both ways with one seed. `looks[equal_steps]` is where both had made as many steps, the last look where both had
    taken as much time."""

    connector: Run
    all: Run
    equal_steps: int
    without_looking: float


@dataclass(frozen=True)
class Parts:
    """What every seed begins with. `precise`: the encoder in float32; `stored`: what the encoder keeps of the training
    pictures, which took `seconds`."""

    language: LanguageModel
    encoder: DepthsEncoder
    precise: DepthsEncoder
    training: Shapes
    test: Shapes
    stored: Tensor
    seconds: float


def follow(settings: Settings, seeds: range, *, quiet: bool) -> list[Course]:
    """A course for each seed. Raises MissingPart where a default part is not installed."""
    keep_memory()
    parts = _parts(settings)
    with progress("frozen", 2 * settings.looks[-1] * len(seeds), "steps", quiet=quiet) as bar:
        return [_course(parts, settings, seed, bar) for seed in seeds]


def _parts(settings: Settings) -> Parts:
    language = load_language_model(LANGUAGE_MODEL, dtype=fast_dtype("cpu"))
    # torch's fused attention is slow backward in bf16 on processors
    language.model.set_attn_implementation("eager")
    encoder = default_encoder(ENCODER)
    precise = DepthsEncoder(load_efficientnet(resolve(ENCODER), dtype=torch.float32), encoder.classes)
    training, test = (shapes(encoder, "train", settings.pictures), shapes(encoder, "test", settings.test))
    start = time.process_time()
    views = iter(training.views)
    stored = torch.cat([encoder.stored(few) for few in iter(lambda: list(islice(views, 32)), [])])
    return Parts(language, encoder, precise, training, test, stored, time.process_time() - start)


def _course(parts: Parts, settings: Settings, seed: int, bar: Progress) -> Course:
    frozen = parts.encoder.base.net, parts.language.model
    before = seal(*frozen)
    connector, whole = trainees(parts.encoder, parts.precise, parts.language, parts.stored, settings.rates, seed)
    of_connector, of_all = Run(before=parts.seconds), Run()
    both = ((connector, of_connector), (whole, of_all))
    asked = Asked(connector.model, OVERVIEWS)
    started = [perplexity(trainee.model, TEXT) for trainee, _ in both]
    rows: tuple[Iterator[list[int]], ...] = tuple(batches(len(parts.training), settings.batch, seed) for _ in both)

    def look(trainee: Trainee, run: Run) -> None:
        run.looks.append(Look(len(run.small), run.seconds, accuracy(trainee, parts.test, asked)))

    for step in range(1, settings.looks[-1] + 1):
        for (trainee, run), each in zip(both, rows, strict=True):
            run.small.append(trainee.step(parts.training, next(each), asked))
            bar.advance()
            if step in settings.looks:
                look(trainee, run)
    # the cheaper way goes on until it has cost as much, with a look half way
    cost = of_connector.seconds, of_all.seconds
    for until in (sum(cost) / 2, cost[1]):
        while of_connector.seconds < until:
            of_connector.small.append(connector.step(parts.training, next(rows[0]), asked))
        look(connector, of_connector)
    for (trainee, run), at_first in zip(both, started, strict=True):
        run.blind = accuracy(trainee, parts.test, asked, blind=True)
        run.perplexity = at_first, perplexity(trainee.model, TEXT)
        run.parameters, run.bytes = trainee.parameters, trainee.bytes()
    require_seal(before, *frozen)
    many = batches(len(parts.training), settings.large, seed)
    for _ in range(settings.large_steps):
        few = next(many)
        for trainee, run in both:
            run.large.append(trainee.step(parts.training, few, asked))
    return Course(of_connector, of_all, len(settings.looks) - 1, without_looking(parts.training, parts.test))
