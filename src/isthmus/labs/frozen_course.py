"""Lab `frozen`'s runs: both ways of training in turn, step by step, with looks at the test pictures in between."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import torch

from isthmus.checkpoints import resolve
from isthmus.labs.asked_shapes import Shapes, shapes, without_looking
from isthmus.labs.english import TEXT
from isthmus.labs.frozen_or_full import Rates, Seconds, Trainee, accuracy, batches, perplexity, trainees
from isthmus.progress import Progress, progress
from isthmus.threads import keep_memory
from isthmus.training.default_vlm import default_encoder
from isthmus.training.vlm import Asked
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
    """One way. `looks[equal_steps]` is where the other had made as many steps, the last look where it had taken as
    much time. `bytes`: of weights, gradients, optimiser states. `perplexity`: before and after. `blind`: accuracy with
    zeros for pictures, at the end."""

    parameters: int = 0
    bytes: tuple[int, int, int] = (0, 0, 0)
    small: list[Seconds] = field(default_factory=list)
    large: list[Seconds] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    equal_steps: int = -1
    perplexity: tuple[float, float] = (0.0, 0.0)
    blind: float = 0.0
    before: float = 0.0
    """Seconds spent before the first step: on features that are kept."""

    @property
    def seconds(self) -> float:
        return self.before + sum(each.total for each in self.small)


@dataclass(frozen=True)
class Course:
    """Both ways with one seed."""

    connector: Run
    all: Run
    without_looking: float


def follow(settings: Settings, seeds: range, *, quiet: bool) -> list[Course]:
    """A course for each seed. Raises MissingPart where a default part is not installed."""
    keep_memory()
    language = load_language_model(LANGUAGE_MODEL)
    # torch's fused attention is slow backward in bf16 on processors
    language.model.set_attn_implementation("eager")
    encoder = default_encoder(ENCODER)
    precise = DepthsEncoder(load_efficientnet(resolve(ENCODER), dtype=torch.float32), encoder.classes)
    training, test = (shapes(encoder, "train", settings.pictures), shapes(encoder, "test", settings.test))
    stored, seconds = _kept(encoder, training)
    with progress("frozen", 2 * settings.looks[-1] * len(seeds), "steps", quiet=quiet) as bar:
        return [
            _course(settings, seed, language, (encoder, precise), training, test, stored, seconds, bar)
            for seed in seeds
        ]


def _kept(encoder: DepthsEncoder, training: Shapes) -> tuple[torch.Tensor, float]:
    """What the frozen encoder keeps of the training pictures, and the seconds it took."""
    start = time.process_time()
    views = iter(training.views)
    parts = [encoder.stored(few) for few in iter(lambda: list(islice(views, 32)), [])]
    return torch.cat(parts), time.process_time() - start


def _course(
    settings: Settings,
    seed: int,
    language: LanguageModel,
    encoders: tuple[DepthsEncoder, DepthsEncoder],
    training: Shapes,
    test: Shapes,
    stored: torch.Tensor,
    seconds: float,
    bar: Progress,
) -> Course:
    connector, whole = trainees(*encoders, language, stored, settings.rates, seed)
    before = seal(encoders[0].base.net, language.model)
    runs = Run(before=seconds), Run()
    asked = Asked(connector.model, OVERVIEWS)
    started = [perplexity(each.model, TEXT) for each in (connector, whole)]
    rows: tuple[Iterator[list[int]], ...] = tuple(batches(len(training), settings.batch, seed) for _ in runs)

    def look(trainee: Trainee, run: Run) -> None:
        run.looks.append(Look(len(run.small), run.seconds, accuracy(trainee, test, asked)))

    for step in range(1, settings.looks[-1] + 1):
        for trainee, run, each in zip((connector, whole), runs, rows, strict=True):
            run.small.append(trainee.step(training, next(each), asked))
            bar.advance()
            if step in settings.looks:
                look(trainee, run)
    for run in runs:
        run.equal_steps = len(settings.looks) - 1
    # the cheaper way goes on until it has cost as much, with a look half way
    of_connector, of_all = runs
    for share in (0.5, 1.0):
        until = of_connector.looks[run.equal_steps].seconds * (1 - share) + of_all.seconds * share
        while of_connector.seconds < until:
            of_connector.small.append(connector.step(training, next(rows[0]), asked))
        look(connector, of_connector)
    for trainee, run, ppl in zip((connector, whole), runs, started, strict=True):
        run.blind = accuracy(trainee, test, asked, blind=True)
        run.perplexity = ppl, perplexity(trainee.model, TEXT)
        run.parameters, run.bytes = trainee.parameters, trainee.bytes()
    require_seal(before, encoders[0].base.net, language.model)
    many = batches(len(training), settings.large, seed)
    for _ in range(settings.large_steps):
        few = next(many)
        for trainee, run in zip((connector, whole), runs, strict=True):
            run.large.append(trainee.step(training, few, asked))
    return Course(of_connector, of_all, without_looking(training, test))
