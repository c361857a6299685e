"""Lab `distill`: does a small student, taught by a teacher's answers on pictures without labels, come close to it?

The teacher is the frozen default encoder under a linear head, fitted to a few labelled drawings. It answers on many
more that have no label, and a small network learns from these answers. The same network learns from the few labels
alone, from answers that were shuffled, from the teacher's best guesses, from its features, and from all labels.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from operator import sub, truediv
from pathlib import Path
from statistics import median

import numpy as np
import torch
from matplotlib.figure import Figure as Canvas
from torch import Tensor
from torch.nn import functional as F

from isthmus.images.views import Picture
from isthmus.labs import DISTILL, plots
from isthmus.labs.drawn import SHAPES, Drawing
from isthmus.labs.result import Check, Figure, Finding, Result, Table, by_seed
from isthmus.labs.taught_pictures import Head, Looked, drawing, few_of_each, looked, pixels_of, students_fit, teacher
from isthmus.labs.taught_students import Course, Lesson, SmallNet, fresh, learned, says
from isthmus.labs.work import Spent
from isthmus.progress import Progress, progress
from isthmus.vision.efficientnet import EfficientNetEncoder

# The limits of the verdict. They were set before the first look at a test picture and have not moved.
CLOSE = 0.05  # by how much accuracy may be lower than the teacher's
BETTER = 0.05  # by how much it must be higher than without what is examined
NO_HELP = 0.02  # by how much shuffled answers may raise it
SMALLER, FASTER = 0.1, 0.2  # parameters and milliseconds a picture, student / teacher

TEACHER = "teacher"
LABELS, TAUGHT, GUESSES = "few labels alone", "taught by soft answers", "taught by best guesses"
SHUFFLED, ALL = "taught by shuffled answers", "all labels"
FEATURES, RANDOM = "features learned, linear head", "features at random, linear head"
RIGHT, AGREES = "right", "as the teacher says"
PARAMETERS, MILLISECONDS = "parameters, M", "ms a picture"
STUDENT = "student"
WAYS = (TEACHER, TAUGHT, GUESSES, LABELS, SHUFFLED, ALL, FEATURES, RANDOM)
STUDENTS = 6
"""Of these that are trained."""
BLUE, ORANGE, GREEN, *_ = plots.COLOURS
BAR_COLOURS = ("grey", BLUE, BLUE, ORANGE, ORANGE, ORANGE, GREEN, GREEN)
"""By what teaches: answers, labels or nothing, features."""
WARMING = 3

Rows = Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `pictures`: for training, most of them without a label; `each`: labelled ones of every kind;
    `side`: pixels of a drawing, which the teacher sees; `students_side`: which the student sees; `timed`: pictures.

    Rates and temperature were chosen on training pictures kept aside: `rate` is with answers or all labels, the other
    ones are with few labels alone and with features.
    """

    pictures: int = 2_000
    test: int = 400
    each: int = 10
    side: int = 224
    students_side: int = 56
    timed: int = 40
    course: Course = field(default_factory=Course)
    rate: float = 2e-3
    few_rate: float = 8e-3
    features_rate: float = 8e-3
    temperature: float = 2.0


@dataclass(frozen=True)
class Measured:
    """`accuracy`: [way of teaching, or TEACHER][RIGHT or AGREES]; `cost`: [TEACHER or STUDENT][PARAMETERS or
    MILLISECONDS]."""

    accuracy: Rows
    cost: Rows


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Draw, teach, measure, judge, plot."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(measured), plot)
    return Result(
        lab=DISTILL.name,
        claim=DISTILL.claim,
        findings=judge(measured),
        tables=(
            Table(
                f"share of {settings.test} new pictures named right (chance {1 / len(SHAPES):.3f}); of "
                f"{settings.pictures} training pictures {settings.each * len(SHAPES)} have a label",
                measured.accuracy,
            ),
            Table("cost, one picture at a time on one core", measured.cost),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    right = {way: row[RIGHT] for way, row in measured.accuracy.items()}

    def more(one: str, other: str) -> Figure:
        return by_seed(sub, right[one], right[other])

    def share(column: str) -> Figure:
        return by_seed(truediv, measured.cost[STUDENT][column], measured.cost[TEACHER][column])

    return (
        Finding(
            "it comes close to its teacher",
            (Check("accuracy, taught by soft answers less teacher", more(TAUGHT, TEACHER), "at least", -CLOSE),),
        ),
        Finding(
            "at a fraction of the cost",
            (
                Check("parameters, student / teacher", share(PARAMETERS), "at most", SMALLER),
                Check("milliseconds a picture, student / teacher", share(MILLISECONDS), "at most", FASTER),
            ),
        ),
        Finding(
            "it beats the same student taught by the labels alone",
            (
                Check(
                    "accuracy, taught by soft answers less few labels alone", more(TAUGHT, LABELS), "at least", BETTER
                ),
            ),
        ),
        Finding(
            "what teaches is the answers: shuffled, they do not help",
            (Check("accuracy, shuffled answers less few labels alone", more(SHUFFLED, LABELS), "at most", NO_HELP),),
        ),
        Finding(
            "the teacher's features teach too: a linear head on learned ones beats one on random ones",
            (Check("accuracy, features learned less at random", more(FEATURES, RANDOM), "at least", BETTER),),
            core=False,
        ),
        Finding(
            "soft answers teach more than the best guess alone",
            (Check("accuracy, soft answers less best guesses", more(TAUGHT, GUESSES), "at least", 0.0),),
            core=False,
        ),
        Finding(
            "it is as good as if all pictures had a label",
            (Check("accuracy, taught by soft answers less all labels", more(TAUGHT, ALL), "at least", -CLOSE),),
            core=False,
        ),
    )


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """Training pictures are the same for all seeds; which have a label, the student's start, the order of batches and
    the test pictures are each seed's own."""
    encoder = teacher()
    with progress("distill", settings.pictures + len(seeds) * settings.test, "pictures", quiet=quiet) as bar:
        training = looked(encoder, _drawings(settings.pictures, settings, 0), settings.students_side, bar)
        drawn = [_drawings(settings.test, settings, 1, seed) for seed in seeds]
        tests = [looked(encoder, each, settings.students_side, bar) for each in drawn]
    found = []
    with progress("distill", STUDENTS * len(seeds), "students", quiet=quiet) as bar:
        for seed, drawings, test in zip(seeds, drawn, tests, strict=True):
            timed = [each.picture for each in drawings[: settings.timed]]
            found.append(_scores(encoder, training, test, timed, settings, seed, bar))

    def over(figures: Sequence[Mapping[str, Mapping[str, float]]]) -> Rows:
        return {
            row: {column: Figure(tuple(each[row][column] for each in figures)) for column in columns}
            for row, columns in figures[0].items()
        }

    return Measured(over([each.accuracy for each in found]), over([each.cost for each in found]))


@dataclass(frozen=True)
class Scores:
    """Measured of one seed."""

    accuracy: Mapping[str, Mapping[str, float]]
    cost: Mapping[str, Mapping[str, float]]


def _scores(
    encoder: EfficientNetEncoder,
    training: Looked,
    test: Looked,
    timed: Sequence[Picture],
    settings: Settings,
    seed: int,
    bar: Progress,
) -> Scores:
    few = few_of_each(training.kinds, settings.each, np.random.default_rng(seed))
    head = Head(training.pooled, few, training.kinds[few])
    answers = head(training.pooled)
    said = {TEACHER: head(test.pooled)}
    students = {}
    for way, lesson in lessons(answers, few, settings, seed).items():
        students[way] = learned(training, lesson, settings.course, seed)
        bar.advance()
    said |= {way: _logits(student, test) for way, student in students.items() if way != FEATURES}
    for way, student in ((FEATURES, students[FEATURES]), (RANDOM, fresh(settings.course, seed).eval())):
        probe = Head(_pooled(student, training), few, training.kinds[few])
        said[way] = probe(_pooled(student, test))
    says_teacher = said[TEACHER].argmax(1)
    accuracy = {
        way: {
            RIGHT: (logits.argmax(1) == test.kinds).double().mean().item(),
            AGREES: (logits.argmax(1) == says_teacher).double().mean().item(),
        }
        for way, logits in said.items()
    }
    return Scores(accuracy, _cost(encoder, head, students[TAUGHT], timed, settings))


def lessons(answers: Tensor, few: Tensor, settings: Settings, seed: int) -> dict[str, Lesson]:
    """Every way of teaching but the two without: answers [n, K] are the teacher's of all training pictures, of which
    the rows `few` have a label."""
    every, none = torch.arange(len(answers)), torch.arange(0)
    order = torch.from_numpy(np.random.default_rng([2, seed]).permutation(len(answers)))
    soft = Lesson(few, every, settings.rate, answers, settings.temperature)
    return {
        LABELS: Lesson(few, none, settings.few_rate),
        TAUGHT: soft,
        GUESSES: replace(soft, answers=F.one_hot(answers.argmax(1), answers.shape[1]).log(), temperature=1.0),
        SHUFFLED: replace(soft, answers=answers[order]),
        FEATURES: Lesson(none, every, settings.features_rate, features=True),
        ALL: Lesson(every, none, settings.rate),
    }


@torch.no_grad()
def _cost(
    encoder: EfficientNetEncoder, head: Head, student: SmallNet, pictures: Sequence[Picture], settings: Settings
) -> dict[str, dict[str, float]]:
    """From an opened picture to its answer, in turns, the medians; the first three pictures warm up."""
    fit = students_fit(settings.students_side)

    def by_teacher(picture: Picture) -> None:
        head(encoder.encode([encoder.fit(picture)]).pooled)

    def by_student(picture: Picture) -> None:
        student(pixels_of(fit(picture)))

    spent: dict[str, list[float]] = {TEACHER: [], STUDENT: []}
    for picture in pictures:
        for who, answer in ((TEACHER, by_teacher), (STUDENT, by_student)):
            start = time.process_time()
            answer(picture)
            spent[who].append(1e3 * (time.process_time() - start))
    # ImageNet's classifier is no part of this teacher
    nets = {TEACHER: (encoder.net.stem, encoder.net.blocks, encoder.net.head, head), STUDENT: (student,)}
    return {
        who: {
            PARAMETERS: sum(p.numel() for net in nets[who] for p in net.parameters()) / 1e6,
            MILLISECONDS: median(each[WARMING:] or each),
        }
        for who, each in spent.items()
    }


def _drawings(count: int, settings: Settings, *seed: int) -> list[Drawing]:
    random = np.random.default_rng(seed)
    return [drawing(random, settings.side) for _ in range(count)]


def _logits(student: SmallNet, test: Looked) -> Tensor:
    answers = says(student, test.pixels).answers
    assert answers is not None
    return answers


def _pooled(student: SmallNet, of: Looked) -> Tensor:
    pooled = says(student, of.pixels).pooled
    assert pooled is not None
    return pooled


def draw(measured: Measured) -> Canvas:
    """Accuracy by way of teaching; cost as a share of the teacher's."""
    figure, axes = plots.canvas(2)
    figure.set_size_inches(11, 4.2)
    for place, (colour, way) in enumerate(zip(BAR_COLOURS, WAYS, strict=True)):
        right = measured.accuracy[way][RIGHT]
        axes[0].barh(place, right.mean, xerr=right.half, color=colour, error_kw={"elinewidth": 1.0, "capsize": 2.0})
    axes[0].set_yticks(range(len(WAYS)), WAYS)
    axes[0].invert_yaxis()
    axes[0].axvline(1 / len(SHAPES), color="grey", linestyle=":")
    axes[0].set_xlim(0, 1.1)
    axes[0].grid(axis="y", visible=False)
    axes[0].grid(axis="x", alpha=0.25)
    axes[0].set_title("share of new pictures named right (dotted: chance)")
    columns = (PARAMETERS, MILLISECONDS)
    plots.bars(axes[1], measured.cost, columns)
    axes[1].set_yscale("log")
    axes[1].set_title("cost of one picture on one core")
    axes[1].legend(fontsize="small")
    return figure
