"""Lab `stages`: align first, then instruct; and what is frozen when?

One model (default encoder, MLP, SmolLM2-135M) learns to answer questions about colours and shapes: in one stage, or in
two, of which the first trains the connector alone on captions. All ways begin equal and see equally many texts. What
they then answer is counted, and English of before is read again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import sub, truediv
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from isthmus.labs import STAGES, plots
from isthmus.labs.result import Check, Figure, Finding, Result, Table, by_seed
from isthmus.labs.staged import ALIGNED, ALL, CONNECTOR, LORA, LORA_ALONE, MIXED, ONE_STAGE, QUESTIONS, Run, follow
from isthmus.labs.staged import Settings as Settings
from isthmus.labs.staged import prepare as prepare
from isthmus.labs.work import Spent

# The limits of the verdict. They were set before the first look at a test picture and have not moved.
LEARNED = 0.2  # accuracy above what the words of the questions alone, or stage 1 alone, reach
BETTER = 0.05  # by how much accuracy is to be higher for a way to be the better one
AS_GOOD = 0.05  # by how much it may be lower for a way to be as good
KEPT = 1.1  # perplexity after / before, of a language model that has not forgotten
MORE_HARM = 1.05  # that, as a multiple of another way's
SAME_TIME = 1.0  # seconds, as a share of another way's

RIGHT, BLIND, LANGUAGE = "right", "picture's tokens zeros", "perplexity after / before"
Rows = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Measured:
    """`ways`: [way][column]: RIGHT, BLIND, "perplexity before", "perplexity after", LANGUAGE, "seconds", "trained
    parameters, M". `losses`: by way, of each step of its last stage."""

    ways: Rows
    losses: Mapping[str, Sequence[Figure]]
    without_looking: float


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Train, measure, judge, draw."""
    parts = prepare(settings)
    measured = read(follow(parts, settings, seeds, quiet=quiet), parts.without_looking)
    plots.save(draw(measured, settings), plot)
    title = (
        f"{parts.test.questions} questions about {settings.test} test pictures answered right (without looking "
        f"{measured.without_looking:.3f}), perplexity of English, seconds of one core"
    )
    return Result(
        lab=STAGES.name,
        claim=STAGES.claim,
        findings=judge(measured),
        tables=(Table(title, measured.ways),),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""

    def less(way: str, column: str = RIGHT) -> Figure:
        return by_seed(sub, measured.ways[LORA][column], measured.ways[way][column])

    def times(way: str) -> Figure:
        return by_seed(truediv, measured.ways[way][LANGUAGE], measured.ways[LORA][LANGUAGE])

    looking = by_seed(lambda right: right - measured.without_looking, measured.ways[LORA][RIGHT])
    time = by_seed(truediv, measured.ways[LORA]["seconds"], measured.ways[QUESTIONS]["seconds"])
    accuracy = "accuracy, captions first and then connector + LoRA, less"
    return (
        Finding(
            "two stages teach it to look",
            (Check(f"{accuracy} that without looking", looking, "at least", LEARNED),),
        ),
        Finding(
            "two stages are better than one on questions alone",
            (Check(f"{accuracy} one stage's", less(QUESTIONS), "at least", BETTER),),
        ),
        Finding(
            "two stages are better than one on the same texts mixed",
            (Check(f"{accuracy} one stage's", less(MIXED), "at least", BETTER),),
        ),
        Finding(
            "in stage 2 LoRA is enough",
            (Check(f"{accuracy} that of all trained", less(ALL), "at least", -AS_GOOD),),
        ),
        Finding(
            "with it the language is kept",
            (Check(LANGUAGE, measured.ways[LORA][LANGUAGE], "at most", KEPT),),
        ),
        Finding(
            "captions alone are not enough",
            (Check(f"{accuracy} that after stage 1", less(ALIGNED), "at least", LEARNED),),
            core=False,
        ),
        Finding(
            "in stage 2 the language model has to learn too",
            (Check(f"{accuracy} that of the connector alone", less(CONNECTOR), "at least", BETTER),),
            core=False,
        ),
        Finding(
            "in stage 2 the connector has to go on learning",
            (Check(f"{accuracy} that of LoRA alone", less(LORA_ALONE), "at least", BETTER),),
            core=False,
        ),
        Finding(
            "one stage harms the language more",
            (Check(f"{LANGUAGE}, one stage on questions / two", times(QUESTIONS), "at least", MORE_HARM),),
            core=False,
        ),
        Finding(
            "training all harms the language more",
            (Check(f"{LANGUAGE}, all / LoRA in stage 2", times(ALL), "at least", MORE_HARM),),
            core=False,
        ),
        Finding(
            "two stages take no more time",
            (Check("seconds, two stages / one on questions", time, "at most", SAME_TIME),),
            core=False,
        ),
    )


def read(courses: Sequence[Mapping[str, Run]], without_looking: float) -> Measured:
    """One course a seed, to figures."""
    runs = {way: [course[way] for course in courses] for way in courses[0]}

    def columns(each: Sequence[Run]) -> dict[str, Figure]:
        before, after = (Figure(tuple(run.perplexity[at] for run in each)) for at in (0, 1))
        return {
            RIGHT: Figure(tuple(run.right for run in each)),
            BLIND: Figure(tuple(run.blind for run in each)),
            "perplexity before": before,
            "perplexity after": after,
            LANGUAGE: by_seed(truediv, after, before),
            "seconds": Figure(tuple(run.seconds for run in each)),
            "trained parameters, M": Figure(tuple(run.trained / 1e6 for run in each)),
        }

    return Measured(
        ways={way: columns(each) for way, each in runs.items()},
        losses={
            way: [Figure(values) for values in zip(*(run.losses for run in each), strict=True)]
            for way, each in runs.items()
        },
        without_looking=without_looking,
    )


def draw(measured: Measured, settings: Settings) -> Canvas:
    """Answers right, loss of the questions over texts seen, perplexity, seconds."""
    figure, axes = plots.canvas(4, rows=2)
    plots.bars(axes[0], measured.ways, (RIGHT, BLIND))
    axes[0].axhline(measured.without_looking, color="grey", linestyle=":")
    axes[0].set_ylim(0, 1)
    axes[0].set_title("answers right (dotted: without looking)")
    for colour, way in zip(plots.COLOURS, measured.ways, strict=False):
        if way in (MIXED, ALIGNED):
            continue  # captions are another loss
        first = 0 if way in ONE_STAGE else settings.align_steps
        losses = measured.losses[way]
        texts = [settings.batch * (first + step) for step in range(1, len(losses) + 1)]
        axes[1].plot(texts, [each.mean for each in losses], color=colour, linewidth=1.4)
    axes[1].set_ylim(0)
    axes[1].set_xlabel("texts seen, captions included")
    axes[1].set_title("loss of the questions, in training")
    for at, (colour, row) in enumerate(zip(plots.COLOURS, measured.ways.values(), strict=False)):
        values = row[LANGUAGE].values
        axes[2].plot([at] * len(values), values, color=colour, marker="o", linestyle="", alpha=0.7)
    axes[2].axhline(1, color="grey", linestyle=":")
    axes[2].set_yscale("log")  # one way may be off by a factor
    axes[2].set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes[2].set_xticks([])
    axes[2].set_title("English: perplexity after / before, each seed")
    plots.bars(axes[3], measured.ways, ("seconds",))
    axes[3].set_title("what it took, stage 1 included")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return figure
