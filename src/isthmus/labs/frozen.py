"""Lab `frozen`: is training only the connector far cheaper than training all, and as good?

One model (default encoder, MLP, SmolLM2-135M) learns to tell colours and shapes, from the same start and on the same
batches, in both ways, in turn, step by step. What a step costs is counted and timed; what the models then can is
measured at equal steps and where both have cost as much time; and English of before is read again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import add, sub, truediv
from pathlib import Path
from statistics import median

import torch
from matplotlib.figure import Figure as Canvas

from isthmus.connectors.objectives import Stage1
from isthmus.connectors.qformer import QFormer, QFormerConfig, QFormerConnector
from isthmus.labs import FROZEN, plots
from isthmus.labs.frozen_course import Course, follow
from isthmus.labs.frozen_course import Settings as Settings
from isthmus.labs.result import Check, Figure, Finding, Result, Table, by_seed
from isthmus.labs.work import Spent

# The limits of the verdict. They were set before the first look at a test picture and have not moved.
LESS_MEMORY = 0.1  # gradients and optimiser states, as a share of full training's
LESS_TIME = 0.5  # seconds of a step, as a share
LEARNED = 0.2  # accuracy above what the words of the questions alone reach
AS_GOOD = 0.05  # by how much accuracy may be lower than full training's
SAME = 1.0  # perplexity after / before, of parts that never changed
HARMED = 1.1  # and of a language model that forgot

CONNECTOR, ALL = "connector only", "all trained"
Rows = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Measured:
    """[CONNECTOR or ALL][column] each.

    `cost`: "trained parameters, M", "gradients, MB", "optimiser, MB", "weights, MB". `seconds`: of a small and a large
    step, by part. `quality`: accuracies and perplexities. `course`: accuracy at each look, and `at`: the seconds.
    """

    cost: Rows
    seconds: Rows
    quality: Rows
    course: Mapping[str, Sequence[Figure]]
    at: Mapping[str, Sequence[float]]
    without_looking: float


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Train, measure, judge, draw."""
    measured = read(follow(settings, seeds, quiet=quiet))
    plots.save(draw(measured), plot)
    return Result(
        lab=FROZEN.name,
        claim=FROZEN.claim,
        findings=judge(measured),
        tables=(
            Table("what a step holds in memory", measured.cost),
            Table(
                f"seconds of one core for a step of {settings.batch} pictures (small) and {settings.large} (large)",
                measured.seconds,
            ),
            Table(
                f"answers right on {settings.test} test pictures (without looking {measured.without_looking:.3f}), "
                "perplexity of English",
                measured.quality,
            ),
            Table("trained parameters at BLIP-2's size, M", published(len(seeds))),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    (of_connector, of_all) = ({**measured.cost[w], **measured.quality[w]} for w in (CONNECTOR, ALL))
    connector, whole = (measured.seconds[way] for way in (CONNECTOR, ALL))

    def memory(row: Mapping[str, Figure]) -> Figure:
        return by_seed(add, row["gradients, MB"], row["optimiser, MB"])

    def less(column: str) -> Figure:
        return by_seed(sub, of_connector[column], of_all[column])

    def grown(row: Mapping[str, Figure]) -> Figure:
        return by_seed(truediv, row["perplexity after"], row["perplexity before"])

    looking = by_seed(lambda right: right - measured.without_looking, of_connector["equal time"])
    share = by_seed(truediv, memory(of_connector), memory(of_all))
    small, large = (by_seed(truediv, connector[size], whole[size]) for size in ("small", "large"))
    return (
        Finding(
            "it takes far less memory",
            (Check("gradients and optimiser states, connector / all", share, "at most", LESS_MEMORY),),
        ),
        Finding(
            "it takes far less time", (Check("seconds of a small step, connector / all", small, "at most", LESS_TIME),)
        ),
        Finding(
            "also where a step is large, and the optimiser's part of it small",
            (Check("seconds of a large step, connector / all", large, "at most", LESS_TIME),),
            core=False,
        ),
        Finding(
            "it learns to look",
            (Check("accuracy at equal time, less that without looking", looking, "at least", LEARNED),),
        ),
        Finding(
            "it keeps quality, at equal time",
            (Check("accuracy, connector less all", less("equal time"), "at least", -AS_GOOD),),
        ),
        Finding(
            "it keeps quality, at equal steps",
            (Check("accuracy, connector less all", less("equal steps"), "at least", -AS_GOOD),),
            core=False,
        ),
        Finding(
            "it keeps the language as it was",
            (Check("perplexity after / before, connector only", grown(of_connector), "at most", SAME),),
        ),
        Finding(
            "full training harms the language",
            (Check("perplexity after / before, all trained", grown(of_all), "at least", HARMED),),
            core=False,
        ),
    )


def read(courses: Sequence[Course]) -> Measured:
    """One course a seed, to figures."""
    ways = {CONNECTOR: [course.connector for course in courses], ALL: [course.all for course in courses]}

    def over(found: Sequence[float]) -> Figure:
        return Figure(tuple(found))

    return Measured(
        cost={
            way: {
                "trained parameters, M": over([run.parameters / 1e6 for run in runs]),
                **{
                    f"{name}, MB": over([run.bytes[i] / 1e6 for run in runs])
                    for i, name in enumerate(("weights", "gradients", "optimiser"))
                },
            }
            for way, runs in ways.items()
        },
        seconds={
            way: {
                f"{size}{f', {part}' if part else ''}": over(
                    [median(getattr(each, part or "total") for each in getattr(run, size)) for run in runs]
                )
                for size in ("small", "large")
                for part in ("", "encode", "forward", "backward", "update")
            }
            for way, runs in ways.items()
        },
        quality={
            way: {
                "equal steps": over([run.looks[courses[0].equal_steps].accuracy for run in runs]),
                "equal time": over([run.looks[-1].accuracy for run in runs]),
                "steps": over([float(run.looks[-1].step) for run in runs]),
                "picture's tokens zeros": over([run.blind for run in runs]),
                "perplexity before": over([run.perplexity[0] for run in runs]),
                "perplexity after": over([run.perplexity[1] for run in runs]),
            }
            for way, runs in ways.items()
        },
        course={
            way: [over([look.accuracy for look in looks]) for looks in zip(*(run.looks for run in runs), strict=True)]
            for way, runs in ways.items()
        },
        at={
            way: [
                sum(look.seconds for look in looks) / len(looks)
                for looks in zip(*(run.looks for run in runs), strict=True)
            ]
            for way, runs in ways.items()
        },
        without_looking=courses[0].without_looking,
    )


def published(seeds: int) -> dict[str, dict[str, Figure]]:
    """What BLIP-2 trains in its two stages (ViT-g, OPT-2.7B), counted on the meta device; the paper says 188 M."""
    with torch.device("meta"):
        stage1: torch.nn.Module = Stage1(QFormer(QFormerConfig(1408, 2560, vocabulary=30_523)), start_token=30_522)
        stage2: torch.nn.Module = QFormerConnector(QFormerConfig(1408, 2560))
    counts = {"stage 1": stage1, "stage 2, OPT-2.7B": stage2}
    return {
        "BLIP-2": {
            name: Figure((sum(p.numel() for p in module.parameters()) / 1e6,) * seeds)
            for name, module in counts.items()
        }
    }


def draw(measured: Measured) -> Canvas:
    """Accuracy over time, a step's seconds by part, memory, perplexity."""
    figure, axes = plots.canvas(4, rows=2)
    for colour, (way, figures) in zip(plots.COLOURS, measured.course.items(), strict=False):
        axis, at = axes[0], measured.at[way]
        axis.plot(at, [each.mean for each in figures], label=way, color=colour, marker="o", linewidth=1.4)
        axis.fill_between(
            at, [f.low for f in figures], [f.high for f in figures], color=colour, alpha=0.18, linewidth=0
        )
    axes[0].axhline(measured.without_looking, color="grey", linestyle=":", label="without looking")
    axes[0].set_title("answers right, over training time")
    axes[0].set_xlabel("seconds of one core")
    axes[0].set_ylim(0, 1)
    axes[0].legend(fontsize="small", loc="lower right")
    parts = ("encode", "forward", "backward", "update")
    for axis, size in ((axes[1], "small"), (axes[2], "large")):
        plots.bars(
            axis,
            {way: {part: row[f"{size}, {part}"] for part in parts} for way, row in measured.seconds.items()},
            parts,
        )
        axis.set_title(f"seconds of a {size} step")
        axis.legend(fontsize="small", loc="upper left")
    memory = ("weights, MB", "gradients, MB", "optimiser, MB")
    plots.bars(axes[3], measured.cost, memory)
    axes[3].set_title("memory")
    axes[3].legend(fontsize="small", loc="upper left")
    return figure
