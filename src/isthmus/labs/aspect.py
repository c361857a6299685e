"""Lab `aspect`: how should a long picture be fitted to an encoder: squashed, padded, cropped, tiled, or as it is?

The same drawn banners, panoramas and screenshots go through each Fit, each with about as many tokens, into the same
frozen encoder, which is convolutional and takes any shape. A small reader that looks into its features learns to
answer what is written, where things lie, how they are shaped, and how a curve runs from one end to the other.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure as Canvas
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from isthmus.labs import ASPECT, plots
from isthmus.labs.asked import Asked
from isthmus.labs.cells import CELL, batched, cells, frozen_encoder
from isthmus.labs.long import (
    ASPECTS,
    CHANCE,
    CROP,
    KINDS,
    LETTERBOX,
    NATIVE,
    READING,
    SHAPE,
    SQUASH,
    TILES,
    WHOLE,
    ask,
    fits,
    long_picture,
    where,
)  # fmt: skip
from isthmus.labs.reader import Reader, Schedule, learn, right
from isthmus.labs.result import Check, Figure, Finding, Result, Table
from isthmus.labs.scenes import MEAN, split, with_mean
from isthmus.labs.work import Spent
from isthmus.progress import Progress, progress

# The limits of the verdict, set before the first run.
LOST = 0.1  # by how much less accuracy something counts as lost
BETTER = 0.0  # "best" is any difference whose whole interval is on one side
FROM = 4  # the aspect ratio from which on a picture is long

TOLD, ALONE = "squash, told the ratio", "tiles alone"
SHORTER = Schedule(steps=500)
ARMS = (SQUASH, TOLD, LETTERBOX, CROP, TILES, ALONE, NATIVE)


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `area`: pixels of a picture; `side`: of the square view, `tile`: of a tile and the overview."""

    pictures: int = 1600
    test: int = 400
    area: int = 240**2
    side: int = 192
    tile: int = 64
    width: int = 96
    layers: int = 2
    answering: Schedule = SHORTER


Figures = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Measured:
    """[arm][kind of question, and MEAN over them], of `long` pictures (FROM) and of `square` ones; `by_aspect`:
    [arm][aspect ratio], over all kinds; `tokens`: [arm], the most a picture has."""

    long: Figures
    square: Figures
    by_aspect: Figures
    tokens: Mapping[str, int]


@dataclass(frozen=True)
class Pool:
    """All pictures of the lab. seen: [arm] -> [n, N, C] float16; aspects [n]."""

    seen: Mapping[str, Tensor]
    asked: Asked
    aspects: Tensor


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Draw, train, measure, judge, plot."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(measured), plot)
    named = {arm: f"{arm} ({count})" for arm, count in measured.tokens.items()}

    def told(figures: Figures) -> dict[str, Mapping[str, Figure]]:
        return {named[arm]: row for arm, row in figures.items()}

    return Result(
        lab=ASPECT.name,
        claim=ASPECT.claim,
        findings=judge(measured),
        tables=(
            Table(f"right answers, aspect ratios of {FROM} and more, by Fit (most tokens)", told(measured.long)),
            Table("right answers, square pictures", told(measured.square)),
            Table("right answers, mean over kinds, by aspect ratio", told(measured.by_aspect)),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above, on long pictures."""

    def less(other: str, kind: str) -> Figure:
        native, others = (measured.long[arm][kind].values for arm in (NATIVE, other))
        return Figure(tuple(a - b for a, b in zip(native, others, strict=True)))

    def lost(other: str, kind: str) -> tuple[Check, ...]:
        return (Check(f"{kind}, native less {other}", less(other, kind), "at least", LOST),)

    best = Figure(tuple(min(each) for each in zip(*(less(a, MEAN).values for a in ARMS if a != NATIVE), strict=True)))
    return (
        Finding("squashing distorts: shapes are not told any more", lost(SQUASH, SHAPE)),
        Finding("padding shrinks: small writing is not read any more", lost(LETTERBOX, READING)),
        Finding("tiles lose the whole", lost(ALONE, WHOLE)),
        Finding(
            "native is best", (Check("mean, native less the best of the others", best, "at least", BETTER),)
        ),
        Finding("telling the ratio does not bring squashed shapes back", lost(TOLD, SHAPE), core=False),
        Finding("squashing also costs reading", lost(SQUASH, READING), core=False),
        Finding("an overview does not bring the whole back to tiles", lost(TILES, WHOLE), core=False),
    )  # fmt: skip


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """Every Fit with every seed; a seed gives one split, one start and order of batches."""
    work = 5 * settings.pictures + len(ARMS) * len(seeds) * settings.answering.steps
    with progress("aspect", work, "views and steps", quiet=quiet) as bar:
        pool = drawn(settings, bar)
        found = [{arm: score(arm, pool, settings, seed, bar) for arm in ARMS} for seed in seeds]

    def over(part: str) -> Figures:
        return {
            arm: {column: Figure(tuple(rows[arm][part][column] for rows in found)) for column in found[0][arm][part]}
            for arm in ARMS
        }

    return Measured(
        over("long"), over("square"), over("by_aspect"), {arm: seen.shape[1] for arm, seen in pool.seen.items()}
    )


def drawn(settings: Settings, bar: Progress) -> Pool:
    """The pictures through every Fit, the same for all seeds: encoding them takes longer than a seed."""
    random = np.random.default_rng(0)
    aspects = [ASPECTS[i % len(ASPECTS)] for i in range(settings.pictures)]
    pictures = [long_picture(random, aspect, settings.area) for aspect in aspects]
    encoder = frozen_encoder()
    seen: dict[str, Tensor] = {}
    for name, fit in fits(encoder, settings.side, settings.tile).items():
        features: list[Tensor] = []
        places: dict[str, list[Tensor]] = {name: [], TOLD: []} if name == SQUASH else {name: []}
        for few in batched(pictures):
            views = [fit(picture.picture) for picture in few]
            features += list(cells(encoder, views))
            for arm, found in places.items():
                found += [where(each, told=arm == TOLD) for each in views]
            bar.advance(len(few))
        for arm, found in places.items():
            seen[arm] = torch.cat([_padded(features), _padded(found)], dim=-1)
    overview = (settings.tile // CELL) ** 2
    seen[ALONE] = seen[TILES][:, overview:]
    return Pool(seen, ask(pictures), torch.tensor(aspects))


def _padded(rows: list[Tensor]) -> Tensor:
    return pad_sequence(rows, batch_first=True).half()


def score(arm: str, pool: Pool, settings: Settings, seed: int, bar: Progress) -> dict[str, dict[str, float]]:
    """Train and ask: "long", "square", "by_aspect"."""
    rows = split(settings.pictures, settings.test, seed)
    seen = pool.seen[arm]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = Reader(pool.asked, seen.shape[2], slots=0, width=settings.width, layers=settings.layers)
        learn(None, reader, seen, pool.asked, rows.training, settings.answering, seed, bar)
    found, aspects = right(None, reader, seen, pool.asked, rows.test), pool.aspects[rows.test]

    def share(of: Tensor) -> dict[str, float]:
        return with_mean(pool.asked.by_kind(found[of]))

    return {
        "long": share(aspects >= FROM),
        "square": share(aspects == 1),
        "by_aspect": {f"{aspect}:1": share(aspects == aspect)[MEAN] for aspect in ASPECTS},
    }


def draw(measured: Measured) -> Canvas:
    """By kind for long pictures, by kind for square ones, and over the aspect ratio."""
    figure, axes = plots.canvas(3)
    for axis, figures, title in (
        (axes[0], measured.long, f"aspect ratios of {FROM} and more"),
        (axes[1], measured.square, "square pictures"),
    ):
        plots.bars(axis, figures, KINDS)
        for place, kind in enumerate(KINDS):
            axis.plot([place - 0.45, place + 0.45], [CHANCE[kind]] * 2, color="grey", linestyle=":")
        axis.set_title(f"right answers, {title}")
        axis.set_ylim(0, 1.45)  # room for the legend above the bars
        axis.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes[0].legend(fontsize="small", ncols=2, loc="upper center")
    plots.bands(axes[2], list(ASPECTS), {arm: list(row.values()) for arm, row in measured.by_aspect.items()})
    axes[2].set_xscale("log", base=2)
    axes[2].set_xticks(ASPECTS, [f"{aspect}:1" for aspect in ASPECTS])
    axes[2].set_title("right answers, mean over kinds, by aspect ratio")
    return figure
