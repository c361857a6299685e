"""Lab `information`: which connector keeps which information?

Connectors of as many tokens read the same frozen features of drawn scenes and learn together with the same small
reader to answer questions. Then they are frozen: what can be read off their tokens by linear probes, and how much of
the features can be rebuilt from them? Beside them stand a linear map of all tokens and a reader that looks into the
features itself.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure as Canvas
from torch import Tensor, nn

from isthmus.connectors import LinearConnector, MlpConnector, QFormerConfig, QFormerConnector, ResamplerConnector
from isthmus.labs import INFORMATION, plots
from isthmus.labs.asked import KINDS
from isthmus.labs.cells import CELL
from isthmus.labs.kept import REBUILDING, probe, rebuilt
from isthmus.labs.reader import ANSWERING, Reader, Schedule, as_features
from isthmus.labs.result import Check, Figure, Finding, Result, Table
from isthmus.labs.scenes import MEAN, Pool, answered, draw_pool, split, with_mean
from isthmus.labs.work import Spent
from isthmus.progress import Progress, progress

# The limit of the verdict: "more" is any difference whose whole interval is on one side. Set before the first run.
MORE = 0.0

AVERAGED, JOINED = "linear, averaged", "linear, joined"
CROSS, QFORMER = "cross-attention", "Q-Former"
ALL, LOOKING = "linear, all tokens", "reader looks itself"
FEW = (AVERAGED, JOINED, CROSS, QFORMER)
"""Those of equally many tokens."""
ARMS = (*FEW, ALL, LOOKING)


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `side`: pixels of a picture; `factor`: neighbours, both ways, that become one token.

    `width`: of tokens, connectors and reader; `layers`: of resampler and reader, and half the Q-Former's.
    """

    pictures: int = 2000
    test: int = 400
    side: int = 192
    factor: int = 2
    width: int = 96
    layers: int = 2
    answering: Schedule = ANSWERING
    rebuilding: Schedule = REBUILDING

    @property
    def cells(self) -> int:
        return (self.side // CELL) ** 2

    @property
    def tokens(self) -> int:
        return self.cells // self.factor**2


Figures = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Measured:
    """[arm][kind of question, and MEAN over them]; `rebuilt`: [arm]["explained"]. The reader that looks itself has no
    tokens to probe."""

    answers: Figures
    probes: Figures
    rebuilt: Figures


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Draw, train, measure, judge, plot."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(measured), plot)
    return Result(
        lab=INFORMATION.name,
        claim=INFORMATION.claim,
        findings=judge(measured),
        tables=(
            Table(f"share of right answers on {settings.test} test pictures", measured.answers),
            Table("share of right labels of linear probes on the frozen tokens", measured.probes),
            Table("share of the features' variance rebuilt from the frozen tokens", measured.rebuilt),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limit above. Of the two linear maps of few tokens, the better one counts."""

    def ordered(what: str, figures: Figures, column: str) -> tuple[Check, ...]:
        linear = best(figures, (AVERAGED, JOINED), column)
        cross, qformer = (np.array(figures[arm][column].values) for arm in (CROSS, QFORMER))
        return (
            Check(f"{what}, cross-attention less Q-Former", _figure(cross - qformer), "at least", MORE),
            Check(f"{what}, Q-Former less linear", _figure(qformer - linear), "at least", MORE),
        )

    queries = best(measured.answers, (CROSS, QFORMER), MEAN)
    whole, looking = (np.array(measured.answers[arm][MEAN].values) for arm in (ALL, LOOKING))
    return (
        Finding(
            "useful information, from as many tokens: cross-attention > Q-Former > linear",
            ordered("answers", measured.answers, MEAN),
        ),
        Finding(
            "a linear map loses most: even with all its tokens it answers worse than queries do",
            (Check("answers, the better queries less linear, all tokens", _figure(queries - whole), "at least", MORE),),
        ),
        Finding(
            "what can be read off the tokens: cross-attention > Q-Former > linear",
            ordered("probes", measured.probes, MEAN),
            core=False,
        ),
        Finding(
            "all information: cross-attention > Q-Former > linear",
            ordered("rebuilt", measured.rebuilt, "explained"),
            core=False,
        ),
        Finding(
            "a reader that attends to the features itself answers better than one with any connector's tokens",
            (
                Check(
                    "answers, looking itself less the best connector",
                    _figure(looking - np.maximum(best(measured.answers, FEW, MEAN), whole)),
                    "at least",
                    MORE,
                ),
            ),
            core=False,
        ),
    )


def best(figures: Figures, arms: tuple[str, ...], column: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The best arm's value, by seed."""
    return np.max([figures[arm][column].values for arm in arms], axis=0)  # type: ignore[no-any-return]


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """Every arm with every seed; a seed gives one split, one start and order of batches."""
    steps = len(ARMS) * settings.answering.steps + (len(ARMS) - 1) * settings.rebuilding.steps
    found = []
    with progress("information", settings.pictures + steps * len(seeds), "pictures and steps", quiet=quiet) as bar:
        pool = draw_pool(settings.pictures, settings.side, bar)
        for seed in seeds:
            found.append({arm: score(arm, pool, settings, seed, bar) for arm in ARMS})
    kinds = (*KINDS, MEAN)
    over = {
        what: {
            arm: {column: Figure(tuple(rows[arm][what][column] for rows in found)) for column in columns}
            for arm in ARMS
            if what in found[0][arm]
        }
        for what, columns in (("answers", kinds), ("probes", kinds), ("rebuilt", ("explained",)))
    }
    return Measured(over["answers"], over["probes"], over["rebuilt"])


def score(arm: str, pool: Pool, settings: Settings, seed: int, bar: Progress) -> dict[str, dict[str, float]]:
    """Train with one connector, then measure what its tokens keep: "answers", "probes", "rebuilt"."""
    rows = split(settings.pictures, settings.test, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        connector = _connector(arm, pool.numbers, settings)
        reader = Reader(
            pool.asked,
            pool.numbers if connector is None else settings.width,
            slots=settings.tokens if arm in FEW else pool.cells,
            width=settings.width,
            layers=settings.layers,
        )
        found = {"answers": answered(connector, reader, pool, rows, settings.answering, seed, bar)}
        if connector is not None:
            tokens = _frozen(connector, pool.features)
            found["probes"] = with_mean(probe(tokens, pool.known, rows.training, rows.test))
            torch.manual_seed(seed)
            explained = rebuilt(tokens, pool.seen, rows.training, rows.test, settings.rebuilding, seed, bar)
            found["rebuilt"] = {"explained": explained}
    return found


def _connector(arm: str, numbers: int, settings: Settings) -> nn.Module | None:
    width, factor = settings.width, settings.factor
    match arm:
        case "linear, averaged":
            return MlpConnector(numbers, width, layers=1, reduction="average", factor=factor)
        case "linear, joined":
            return MlpConnector(numbers, width, layers=1, reduction="shuffle", factor=factor)
        case "cross-attention":
            return ResamplerConnector(numbers, width, queries=settings.tokens, layers=settings.layers, heads=4)
        case "Q-Former":
            # as BLIP-2's: picture read in every other layer, here as often as by the resampler
            return QFormerConnector(
                QFormerConfig(
                    numbers, width, width=width, layers=2 * settings.layers, heads=4, width_ffn=4 * width,
                    queries=settings.tokens, dropout=0.0,
                )
            )  # fmt: skip
        case "linear, all tokens":
            return LinearConnector(numbers, width)
    return None


@torch.no_grad()
def _frozen(connector: nn.Module, features: Tensor) -> Tensor:
    """[n, M, D] of all pictures."""
    return torch.cat([connector(as_features(few.float())).tokens for few in torch.split(features, 200)])


def _figure(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Figure:
    return Figure(tuple(float(value) for value in values))


def draw(measured: Measured) -> Canvas:
    """Answers and probes by kind, and what is rebuilt."""
    figure, axes = plots.canvas(3)
    plots.bars(axes[0], measured.answers, (*KINDS, MEAN))
    axes[0].set_title("right answers")
    axes[0].set_ylim(0, 1.5)  # room for the legend above the bars
    axes[0].set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes[0].legend(fontsize="small", ncols=2, loc="upper center")
    plots.bars(axes[1], measured.probes, (*KINDS, MEAN))
    axes[1].set_title("labels read off frozen tokens by a linear probe")
    axes[1].set_ylim(0, 1)
    plots.bars(axes[2], measured.rebuilt, ("explained",))
    axes[2].set_title("variance of the features rebuilt\nfrom frozen tokens")
    axes[2].set_xticks([])
    return figure
