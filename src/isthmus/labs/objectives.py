"""Lab `objectives`: does contrast align pictures and texts globally, matching finely, and generation make it speak?

A small Q-Former learns from drawn pictures of two things and true sentences about them, by BLIP-2's three objectives
together, with each left out, and by each alone: same start, data and batches. What is measured is measured on couples
of things that training never showed. Each of the three heads is also asked to tell a true sentence from one that is
false by a word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import sub, truediv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from isthmus.labs import OBJECTIVES, plots
from isthmus.labs.pairs_of_things import CHANGES
from isthmus.labs.result import Check, Figure, Finding, Result, Table, by_seed
from isthmus.labs.small_stage1 import Scores, pictures, score
from isthmus.labs.small_stage1 import Settings as Settings
from isthmus.labs.work import Spent
from isthmus.progress import progress

# The limits of the verdict. They were set before the first look at a test picture and have not moved.
FOUND = 10.0  # R@1 as a multiple of chance, for a space in which pictures and texts meet
NOT_FOUND = 3.0  # and for none
TELLS = 0.8  # accuracy on pairs of sentences a word apart (chance .5) of a head that sees the detail
FINER = 0.1  # by how much matching is to be better at it than the contrast's cosine
SPEAKS = 0.5  # share of captions that are true to the last word
SILENT = 0.05  # and where none are, but by luck
AS_GOOD = 0.9  # of what an objective reaches alone, when it shares the Q-Former with the two others

TOGETHER = "all three"
VARIANTS: Mapping[str, frozenset[str]] = {
    TOGETHER: frozenset({"itc", "itm", "itg"}),
    "without ITC": frozenset({"itm", "itg"}),
    "without ITM": frozenset({"itc", "itg"}),
    "without ITG": frozenset({"itc", "itm"}),
    "ITC alone": frozenset({"itc"}),
    "ITM alone": frozenset({"itm"}),
    "ITG alone": frozenset({"itg"}),
}
HEADS = ("ITM's head", "ITC's cosine", "ITG's likelihood")
"""What may tell a true sentence from a false one."""

Measures = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Measured:
    """`quality`: [variant]["R@1", "captions true", each of HEADS: mean accuracy over CHANGES]; `fine`: of the variant
    with all three, [head][change]; `chance`: of R@1."""

    quality: Measures
    fine: Measures
    chance: Figure


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Train, measure, judge, draw."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(measured), plot)
    return Result(
        lab=OBJECTIVES.name,
        claim=OBJECTIVES.claim,
        findings=judge(measured),
        tables=(
            Table(
                f"on {settings.test} pictures of unseen couples: sentences found by cosine (chance "
                f"{measured.chance.mean:.3f}), greedy captions that are true, true told from nearly true (chance .5)",
                measured.quality,
            ),
            Table("all three objectives: true told from nearly true, by what is false", measured.fine),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    quality, together = measured.quality, measured.quality[TOGETHER]

    def times_chance(variant: str) -> Figure:
        return by_seed(truediv, quality[variant]["R@1"], measured.chance)

    def kept(alone: str, measure: str, floor: float) -> Figure:
        """What is left of an objective's own measure above `floor`, in company."""

        def share(company: float, alone: float) -> float:
            return (company - floor) / max(alone - floor, 1e-3)

        return by_seed(share, together[measure], quality[alone][measure])

    by_itm, by_itc, by_itg = (together[head] for head in HEADS)
    return (
        Finding(
            "contrast aligns globally: with it pictures find their sentences by cosine, without it they do not",
            (
                Check("R@1 / chance, all three", times_chance(TOGETHER), "at least", FOUND),
                Check("R@1 / chance, ITC alone", times_chance("ITC alone"), "at least", FOUND),
                Check("R@1 / chance, without ITC", times_chance("without ITC"), "at most", NOT_FOUND),
            ),
        ),
        Finding(
            "matching aligns finely: it tells sentences a word apart, better than contrast's cosine can",
            (
                Check("accuracy of ITM's head, all three", by_itm, "at least", TELLS),
                Check(
                    "ITM's head less ITC's cosine, all three",
                    by_seed(sub, by_itm, by_itc),
                    "at least",
                    FINER,
                ),
            ),
        ),
        Finding(
            "generation makes it speak: with it captions are true, without it none are",
            (
                Check("captions true, all three", together["captions true"], "at least", SPEAKS),
                Check("captions true, without ITG", quality["without ITG"]["captions true"], "at most", SILENT),
            ),
        ),
        Finding(
            "nothing but matching sees the detail",
            (
                Check(
                    "ITM's head less ITG's likelihood, all three",
                    by_seed(sub, by_itm, by_itg),
                    "at least",
                    FINER,
                ),
            ),
            core=False,
        ),
        Finding(
            "the three share one Q-Former without loss",
            tuple(
                Check(f"{measure} above chance, all three / {alone}", kept(alone, measure, floor), "at least", AS_GOOD)
                for alone, measure, floor in (
                    ("ITC alone", "R@1", 0.0),
                    ("ITM alone", HEADS[0], 0.5),
                    ("ITG alone", "captions true", 0.0),
                )
            ),
            core=False,
        ),
    )


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """Every variant with every seed; a seed gives one split of couples, one start and order of batches."""
    with progress("objectives", settings.pictures, "pictures", quiet=quiet) as bar:
        data = pictures(settings, bar)
    with progress("objectives", len(VARIANTS) * len(seeds) * settings.steps, "steps", quiet=quiet) as bar:
        found = {
            name: [score(losses, data, settings, seed, bar) for seed in seeds] for name, losses in VARIANTS.items()
        }

    def over_heads(scores: Sequence[Scores]) -> dict[str, Figure]:
        return {head: Figure(tuple(sum(each.told[head].values()) / len(CHANGES) for each in scores)) for head in HEADS}

    together = found[TOGETHER]
    return Measured(
        quality={
            name: {
                "R@1": Figure(tuple(each.found for each in scores)),
                "captions true": Figure(tuple(each.spoken for each in scores)),
                **over_heads(scores),
            }
            for name, scores in found.items()
        },
        fine={
            head: {change: Figure(tuple(each.told[head][change] for each in together)) for change in CHANGES}
            for head in HEADS
        },
        chance=Figure(tuple(each.chance for each in together)),
    )


def draw(measured: Measured) -> Canvas:
    """What each variant can do, then what each head of the one with all three can tell."""
    figure, axes = plots.canvas(3)
    names = list(VARIANTS)
    for axis, columns, title, chance in (
        (axes[0], ("R@1", "captions true"), "sentences found, captions true", measured.chance.mean),
        (axes[1], HEADS, "true told from nearly true", 0.5),
    ):
        rows = {column: {name: measured.quality[name][column] for name in names} for column in columns}
        plots.bars(axis, rows, names)
        _slant(axis)
        axis.axhline(chance, color="grey", linestyle=":", label="chance")
        axis.set_title(title)
        axis.set_ylim(0, 1.3)  # room for the legend
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axis.legend(fontsize="small", ncols=2, loc="upper center")
    plots.bars(axes[2], measured.fine, CHANGES)
    _slant(axes[2])
    axes[2].axhline(0.5, color="grey", linestyle=":", label="chance")
    axes[2].set_title("all three: by what is false")
    axes[2].set_ylim(0, 1.3)
    axes[2].set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes[2].legend(fontsize="small", ncols=2, loc="upper center")
    return figure


def _slant(axis: Axes) -> None:
    axis.tick_params(axis="x", labelrotation=40)
    for label in axis.get_xticklabels():
        label.set_horizontalalignment("right")
