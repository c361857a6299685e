"""Lab `question`: do queries that see the question fetch what it asks?

Several things are drawn on a picture and one is asked about. A Q-Former of few queries reads the picture, with the
question beside it (InstructBLIP's way) or without (BLIP-2's), and a small reader answers from the queries' tokens. The
reader always sees the question, so only what the queries fetched differs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import sub
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from isthmus.labs import QUESTION, plots
from isthmus.labs.asked_things import CHANCE, pictures, score
from isthmus.labs.asked_things import Settings as Settings
from isthmus.labs.result import Check, Figure, Finding, Result, Table, by_seed
from isthmus.labs.work import Spent
from isthmus.progress import progress

# The limits of the verdict. They were set before the first look at a test picture and have not moved.
BETTER = 0.1  # by how much seeing the question is to raise accuracy, with the fewest queries
ANSWERS = 0.5  # accuracy of a model that looks (chance is 1 in 8 colours, 1 in 4 of those on the picture)
FETCHED = 0.2  # by how much an answer must fall when the queries were asked about another thing
STILL = 0.05  # what seeing the question must still add, with the most queries, for it to be a matter of principle

SEEING, BLIND_TO_IT = "queries see the question", "queries do not"
MISLED = "queries see a question about another thing"

Measures = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Measured:
    """`accuracy`: [SEEING, BLIND_TO_IT or MISLED][number of queries]; `without_picture`: of a reader that gets the
    tokens of another picture."""

    accuracy: Measures
    without_picture: Figure

    def fewest(self, row: str) -> Figure:
        return next(iter(self.accuracy[row].values()))

    def most(self, row: str) -> Figure:
        return list(self.accuracy[row].values())[-1]


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Train, measure, judge, draw."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(measured), plot)
    control = {"the tokens of another picture": {next(iter(measured.accuracy[SEEING])): measured.without_picture}}
    return Result(
        lab=QUESTION.name,
        claim=QUESTION.claim,
        findings=judge(measured),
        tables=(
            Table(
                f"accuracy on {settings.test} new pictures of {settings.things} things, by number of queries "
                f"(chance {CHANCE:.3f})",
                {**measured.accuracy, **control},
            ),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    few, many = (by_seed(sub, of(SEEING), of(BLIND_TO_IT)) for of in (measured.fewest, measured.most))
    return (
        Finding(
            "few queries that see the question answer better than as many that do not",
            (
                Check("accuracy, fewest queries, question seen", measured.fewest(SEEING), "at least", ANSWERS),
                Check("the same, less that of queries that do not see it", few, "at least", BETTER),
            ),
        ),
        Finding(
            "what they fetch is what the question asks, and little else",
            (
                Check(
                    "fewest queries, less their accuracy when shown another question than the reader",
                    by_seed(sub, measured.fewest(SEEING), measured.fewest(MISLED)),
                    "at least",
                    FETCHED,
                ),
            ),
        ),
        Finding(
            "no number of queries makes up for not seeing it",
            (Check("accuracy, most queries, question seen less not", many, "at least", STILL),),
            core=False,
        ),
    )


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """Every number of queries, with and without the question, with every seed; with one seed all have the same
    batches."""
    with progress("question", settings.pictures + settings.test, "pictures", quiet=quiet) as bar:
        data = pictures(settings, bar)
    accuracy: dict[str, dict[str, Figure]] = {SEEING: {}, BLIND_TO_IT: {}, MISLED: {}}
    without_picture = []
    with progress("question", 2 * len(settings.queries) * len(seeds) * settings.steps, "steps", quiet=quiet) as bar:
        for queries in settings.queries:
            seeing = [score(queries, True, data, settings, seed, bar) for seed in seeds]
            others = [score(queries, False, data, settings, seed, bar) for seed in seeds]
            accuracy[SEEING][f"{queries}"] = Figure(tuple(each.right for each in seeing))
            accuracy[MISLED][f"{queries}"] = Figure(tuple(each.misled for each in seeing))
            accuracy[BLIND_TO_IT][f"{queries}"] = Figure(tuple(each.right for each in others))
            if queries == settings.queries[0]:
                without_picture = [each.elsewhere for each in seeing]
    return Measured(accuracy, Figure(tuple(without_picture)))


def draw(measured: Measured) -> Canvas:
    """Accuracy by number of queries."""
    figure, axes = plots.canvas(1)
    counts = [int(count) for count in measured.accuracy[SEEING]]
    plots.bands(axes[0], counts, {name: list(row.values()) for name, row in measured.accuracy.items()})
    axes[0].axhline(measured.without_picture.mean, color="grey", linestyle="--", label="another picture")
    axes[0].axhline(CHANCE, color="grey", linestyle=":", label="chance")
    axes[0].set_xscale("log", base=2)
    axes[0].set_xticks(counts, [str(count) for count in counts])
    axes[0].set_xlabel("queries")
    axes[0].set_ylim(0, 1.5)  # room for the legend
    axes[0].set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes[0].set_title("accuracy of answers")
    axes[0].legend(fontsize="small", loc="upper center")
    return figure
