"""Lab `negatives`: do embeddings collapse to one point when nothing pushes them apart?

The pairs are real: the upper half of a written digit and its lower half, two views that share no pixel. Two small
encoders are trained on them by six objectives, from the same start and on the same batches; what is measured is
measured on digits kept out of training.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure as Canvas
from torch import Tensor, nn

from isthmus.contrastive.losses import InfoNCE, SigmoidLoss
from isthmus.contrastive.metrics import recall
from isthmus.labs import NEGATIVES, plots
from isthmus.labs.digits import Digits, load_digits, split
from isthmus.labs.geometry import alignment, effective_rank, uniformity
from isthmus.labs.one_sided import InGroups, NegativesOnly, OnSphere, PositivesOnly, StopGradient, VarianceKept
from isthmus.labs.result import Check, Figure, Finding, Result, Table
from isthmus.labs.work import Spent
from isthmus.progress import Progress, progress

# The limits of the verdict. They were set before the first run and have not moved. Only the last finding came later:
# the first run showed that the point keeps an order inside, which the textbook denies.
COLLAPSED = -0.1  # uniformity of a cloud that is a point for practical purposes (a point has 0)
COLLAPSED_RANK = 2.0  # effective rank of the same
SPREAD = -1.0  # uniformity from which on we speak of a space
ABOVE_CHANCE = 5.0  # R@10 as a multiple of chance, for an embedding that is of use
AT_CHANCE = 2.0  # and for one that is not
HALF_AS_GOOD = 0.5  # R@10 against InfoNCE's, for something that can stand in for negatives

CONTROLS = ("stop-gradient", "variance kept")
MEASURES = ("uniformity", "effective rank", "alignment", "R@1", "R@10", "R@10 in bf16")


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `measured_at`: steps after which the held-out pairs are looked at, the last one included."""

    batch: int = 256
    width: int = 32
    hidden: int = 128
    rate: float = 1e-3
    test_pairs: int = 500
    measured_at: tuple[int, ...] = (0, 5, 10, 20, 40, 80, 150, 225, 300, 400, 500, 600)
    sweep_steps: int = 300
    temperatures: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01)
    group_sizes: tuple[int, ...] = (4, 16, 64, 256)


Measures = dict[str, Figure]
"""A figure for each of MEASURES."""


@dataclass(frozen=True)
class Measured:
    """`courses[objective]`: measures at each of `measured_at`; the sweeps: at the end, of InfoNCE."""

    courses: Mapping[str, tuple[Measures, ...]]
    temperatures: Mapping[float, Measures]
    group_sizes: Mapping[int, Measures]
    chance_at_10: float

    def final(self, objective: str) -> Measures:
        return self.courses[objective][-1]


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Train, measure, judge, draw."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(settings, measured), plot)
    return Result(
        lab=NEGATIVES.name,
        claim=NEGATIVES.claim,
        findings=judge(measured),
        tables=(
            Table(
                f"after {settings.measured_at[-1]} steps, {settings.test_pairs} held-out pairs",
                {name: measured.final(name) for name in measured.courses},
            ),
            Table(
                f"InfoNCE after {settings.sweep_steps} steps, temperature fixed at",
                {f"{t:g}": row for t, row in measured.temperatures.items()},
            ),
            Table(
                f"InfoNCE after {settings.sweep_steps} steps of {settings.batch} pairs, negatives from groups of",
                {str(size): row for size, row in measured.group_sizes.items()},
            ),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    pulled, pushed, both = (measured.final(name) for name in ("positives only", "negatives only", "InfoNCE"))
    chance = measured.chance_at_10
    substitutes = [measured.final(name)["R@10"].values for name in CONTROLS]
    best = Figure(
        tuple(
            max(found) / reference
            for *found, reference in zip(*substitutes, both["R@10"].values, strict=True)
        )
    )  # fmt: skip
    return (
        Finding(
            "with positives only, embeddings collapse to one point",
            (
                Check("uniformity, positives only", pulled["uniformity"], "at least", COLLAPSED),
                Check("effective rank, positives only", pulled["effective rank"], "at most", COLLAPSED_RANK),
            ),
        ),
        Finding(
            "with negatives they spread, and partners find each other",
            (
                Check("uniformity, InfoNCE", both["uniformity"], "at most", SPREAD),
                Check("R@10, InfoNCE", both["R@10"], "at least", ABOVE_CHANCE * chance),
            ),
        ),
        Finding(
            "positives are needed as well: pushing alone aligns nothing",
            (Check("R@10, negatives only", pushed["R@10"], "at most", AT_CHANCE * chance),),
        ),
        Finding(
            "nothing but negatives prevents the collapse",
            (Check("best R@10 of the controls, as a share of InfoNCE's", best, "at most", HALF_AS_GOOD),),
            core=False,
        ),
        Finding(
            "inside the point nothing can be told apart",
            (Check("R@10, positives only", pulled["R@10"], "at most", AT_CHANCE * chance),),
            core=False,
        ),
    )


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """Every objective and every point of the sweeps, with every seed."""
    digits = load_digits()
    scale = 1 / 0.07  # CLIP's start
    objectives: dict[str, Callable[[], nn.Module]] = {
        "InfoNCE": lambda: OnSphere(InfoNCE(scale=scale)),
        "sigmoid (SigLIP)": lambda: OnSphere(SigmoidLoss()),
        "positives only": PositivesOnly,
        "negatives only": lambda: NegativesOnly(scale),
        "stop-gradient": lambda: StopGradient(settings.width, settings.hidden),
        "variance kept": VarianceKept,
    }
    steps = len(objectives) * settings.measured_at[-1]
    steps += (len(settings.temperatures) + len(settings.group_sizes)) * settings.sweep_steps
    with progress("negatives", steps * len(seeds), "steps", quiet=quiet) as bar:

        def course(make: Callable[[], nn.Module], at: tuple[int, ...], learn: bool = True) -> tuple[Measures, ...]:
            return _over_seeds([_train(make, digits, seed, settings, at, learn, bar) for seed in seeds])

        def at_temperature(temperature: float) -> Measures:
            make = partial(InfoNCE, scale=1 / temperature, most=1 / temperature)
            return course(lambda: OnSphere(make()), (settings.sweep_steps,), learn=False)[0]

        def in_groups(size: int) -> Measures:
            return course(lambda: OnSphere(InGroups(InfoNCE(scale=scale), size)), (settings.sweep_steps,))[0]

        return Measured(
            courses={name: course(make, settings.measured_at) for name, make in objectives.items()},
            temperatures={temperature: at_temperature(temperature) for temperature in settings.temperatures},
            group_sizes={size: in_groups(size) for size in settings.group_sizes},
            chance_at_10=10 / settings.test_pairs,
        )


def _train(
    objective: Callable[[], nn.Module],
    digits: Digits,
    seed: int,
    settings: Settings,
    measured_at: tuple[int, ...],
    learn_objective: bool,
    bar: Progress,
) -> list[dict[str, float]]:
    """One run; the measures after each of `measured_at` steps. A seed gives one split, start and order of batches.

    `learn_objective`: whether the objective's own parameters (temperature, bias, predictors) are trained.
    """
    random = np.random.default_rng(seed)
    training, test = (_two_views(part) for part in _standardised(*split(digits, settings.test_pairs, random)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        upper, lower = _encoder(settings), _encoder(settings)
        loss = objective()
    learned = [*upper.parameters(), *lower.parameters(), *(loss.parameters() if learn_objective else ())]
    optimiser = torch.optim.AdamW(learned, lr=settings.rate, weight_decay=0.1)
    found = []
    for step in range(measured_at[-1] + 1):
        if step in measured_at:
            with torch.no_grad():
                found.append(_measures(upper(test[0]), lower(test[1]), loss))
        if step == measured_at[-1]:
            break
        rows = torch.from_numpy(random.choice(len(training[0]), settings.batch, replace=False))
        optimiser.zero_grad()
        loss(upper(training[0][rows]), lower(training[1][rows])).backward()
        optimiser.step()
        bar.advance()
    return found


def _standardised(training: Digits, test: Digits) -> tuple[Tensor, Tensor]:
    """[n, 8, 8] each, by the mean and deviation of the training part."""
    mean, deviation = training.pixels.mean(), training.pixels.std()
    return tuple(torch.from_numpy((part.pixels - mean) / deviation) for part in (training, test))  # type: ignore[return-value]


def _two_views(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """[n, 8, 8] -> upper and lower halves, [n, 32] each."""
    upper, lower = pixels.flatten(1).chunk(2, dim=1)
    return upper, lower


def _encoder(settings: Settings) -> nn.Module:
    hidden = settings.hidden
    return nn.Sequential(
        nn.Linear(32, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, settings.width)
    )


def _measures(images: Tensor, texts: Tensor, objective: nn.Module) -> dict[str, float]:
    """[B, D] each, any length -> MEASURES. Uniformity and rank are means of the two sides; R@K finds text by image.

    The encoders of a stop-gradient meet only through its predictors, so there partners are matched through them.
    """
    if isinstance(objective, StopGradient):
        met_images, met_texts = objective.matched(images, texts)
    else:
        met_images, met_texts = F.normalize(images, dim=1), F.normalize(texts, dim=1)
    images, texts = F.normalize(images, dim=1), F.normalize(texts, dim=1)
    scores, gain = met_images @ met_texts.T, torch.eye(len(images), dtype=torch.bool)
    rounded = met_images.bfloat16().float() @ met_texts.bfloat16().float().T
    return {
        "uniformity": (uniformity(images) + uniformity(texts)) / 2,
        "effective rank": (effective_rank(images) + effective_rank(texts)) / 2,
        "alignment": alignment(met_images, met_texts),
        "R@1": recall(scores, gain, 1).mean().item(),
        "R@10": recall(scores, gain, 10).mean().item(),
        "R@10 in bf16": recall(rounded, gain, 10).mean().item(),
    }


def _over_seeds(courses: list[list[dict[str, float]]]) -> tuple[Measures, ...]:
    return tuple(
        {name: Figure(tuple(measures[name] for measures in moment)) for name in MEASURES}
        for moment in zip(*courses, strict=True)
    )


def draw(settings: Settings, measured: Measured) -> Canvas:
    """Five measures over training, then the two sweeps."""
    figure, axes = plots.canvas(6, rows=2)
    panels = (
        ("uniformity", "uniformity (0: one point)", (-4.2, 0.2)),
        ("effective rank", f"effective rank (of {settings.width})", (0, settings.width)),
        ("alignment", "alignment (0: partners meet)", (-0.1, 4.2)),
        ("R@10", f"R@10 of {settings.test_pairs}", (0, 1)),
    )
    for axis, (name, title, limits) in zip(axes, panels, strict=False):
        plots.bands(axis, settings.measured_at, {o: [m[name] for m in c] for o, c in measured.courses.items()})
        axis.set_title(title)
        axis.set_xlabel("training steps")
        axis.set_ylim(limits)  # an interval may reach beyond what is possible
    axes[2].legend(fontsize="small", loc="center right", bbox_to_anchor=(1, 0.65))
    chance = axes[3].axhline(measured.chance_at_10, color="grey", linestyle=":", label="chance")
    axes[3].legend(handles=[chance], fontsize="small", loc="upper right")
    for axis, sweep, title, label in (
        (axes[4], measured.temperatures, "InfoNCE: temperature", "fixed temperature"),
        (axes[5], measured.group_sizes, "InfoNCE: negatives at equal pairs", "pairs in a group"),
    ):
        plots.bands(axis, list(sweep), {name: [m[name] for m in sweep.values()] for name in ("R@1", "R@10")})
        axis.set_xscale("log")
        axis.set_ylim(0, 1)
        axis.set_title(title)
        axis.set_xlabel(label)
        axis.legend(fontsize="small")
    return figure
