"""Lab `scarce`: with few pictures of a new domain, is the recommended recipe better than training all, or anew?

The default model learns clothes from 10 to 1,000 pictures in three ways, in as many steps: as `recipes/adapt.yaml` has
it (its stages, rates and ranks are read from there), all of connector and language model, or both from noise. Of the
first it is also asked what it names when it is shown another picture than it is asked about.
"""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from operator import sub
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from isthmus.labs import SCARCE, plots
from isthmus.labs.adapting import Remembered, Stage, Way, Work, answered, begin, teach
from isthmus.labs.clothes import clothes
from isthmus.labs.notes import SUFFIX, Notes
from isthmus.labs.result import Check, Figure, Finding, Result, Table, by_seed
from isthmus.progress import progress
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.policy import Learns, Policy
from isthmus.training.recipe import read_recipe
from isthmus.training.shipped import recipe_file
from isthmus.training.tune_recipe import TuneRecipe

# The limits of the verdict. They were set before the first look at a test picture and have not moved.
FEW = 100  # pictures up to which the recommended recipe is claimed to be the better
BETTER = 0.0  # by how much more it names, at least
LOOKS = 0.2  # by how much more than when it is shown another picture

RECOMMENDED, FULL, SCRATCH = "recommended", "full", "from scratch"
Curves = Mapping[str, Mapping[int, Figure]]


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. Rates were chosen on training pictures that nothing was trained on; the recommended recipe's
    are its own."""

    pairs: tuple[int, ...] = (10, 30, 100, 300, 1000)
    test: int = 100
    work: Work = field(default_factory=lambda: Work(steps=60, batch=4))
    connector: float = 2e-4
    full: float = 5e-5
    scratch: float = 5e-4


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Teach, measure, judge, draw. What is taught and asked is noted beside the plot."""
    notes = Notes(plot.with_suffix(SUFFIX), asdict(settings) | {"ways": ways(settings)})
    named, shifted, before = measure(settings, seeds, notes, quiet=quiet)
    plots.save(draw(named, shifted, before), plot)
    shown = {way: {f"{pairs:,}": figure for pairs, figure in curve.items()} for way, curve in named.items()}
    return Result(
        lab=SCARCE.name,
        claim=SCARCE.claim,
        findings=judge(named, shifted),
        tables=(
            Table(
                f"share of {settings.test} test pictures named, by pictures learned of (before: {before:.3f})",
                shown
                | {f"{RECOMMENDED}, another picture shown": {f"{pairs:,}": each for pairs, each in shifted.items()}},
            ),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=notes.spent,
    )


def judge(named: Curves, shifted: Mapping[int, Figure]) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    sizes = list(named[RECOMMENDED])
    few = [pairs for pairs in sizes if pairs <= FEW]

    def against(other: str, over: Sequence[int]) -> tuple[Check, ...]:
        return tuple(
            Check(
                f"named of {pairs:,} pictures, {RECOMMENDED} less {other}",
                by_seed(sub, named[RECOMMENDED][pairs], named[other][pairs]),
                "at least",
                BETTER,
            )
            for pairs in over
        )

    looked = by_seed(sub, named[RECOMMENDED][sizes[-1]], shifted[sizes[-1]])
    return (
        Finding("of few pictures it names more than full fine-tuning", against(FULL, few)),
        Finding("and more than training from scratch, of any number", against(SCRATCH, sizes)),
        Finding(
            "it looks",
            (Check(f"named of {sizes[-1]:,} pictures, less with another picture shown", looked, "at least", LOOKS),),
        ),
        Finding(
            "of many pictures too it names more than full fine-tuning",
            against(FULL, [pairs for pairs in sizes if pairs > FEW]),
            core=False,
        ),
    )


def ways(settings: Settings) -> tuple[Way, ...]:
    recipe = read_recipe(recipe_file("adapt"))
    assert isinstance(recipe, TuneRecipe)
    # Without texts of the domain there is nothing to warm up on.
    stages = tuple(
        Stage(stage.learns, stage.rehearsal, share=stage.steps)
        for stage in recipe.stages
        if stage.learns.connector is not None and stage.steps is not None
    )
    full = Policy(connector=Learns(settings.connector), language_model=Learns(settings.full))
    anew = Policy(connector=Learns(settings.scratch), language_model=Learns(settings.scratch))
    return Way(RECOMMENDED, stages), Way(FULL, (Stage(full),)), Way(SCRATCH, (Stage(anew),), scratch=True)


def measure(
    settings: Settings, seeds: Sequence[int], notes: Notes | None = None, *, quiet: bool
) -> tuple[Curves, dict[int, Figure], float]:
    """[way][pictures] named; of the recommended way also what it names of other pictures; what was named before."""
    notes = notes or Notes()
    right: dict[str, dict[int, list[float]]] = {way.name: {n: [] for n in settings.pairs} for way in ways(settings)}
    shifted: dict[int, list[float]] = {pairs: [] for pairs in settings.pairs}
    test = clothes("test", settings.test)
    model = begin(ways(settings)[0], 0)
    encode = FeatureCache.open(None, model.encoder).encode
    before = notes.once(partial(answered, model, test, encode), "before")
    del model
    remembered: Remembered = {}

    def taught(way: Way, pairs: int, seed: int) -> dict[str, float]:
        model = begin(way, seed)
        teach(model, way, clothes("train", pairs, seed=seed), settings.work, seed, encode, remembered)
        found = {"named": answered(model, test, encode)}
        if way.name == RECOMMENDED:
            # one place further on is always another kind
            found["shifted"] = answered(model, test, encode, shifted=1)
        del model
        gc.collect()
        return found

    runs = len(seeds) * len(settings.pairs) * len(ways(settings))
    with progress("scarce", runs, "trainings", quiet=quiet) as reporter:
        for seed in seeds:
            for pairs in settings.pairs:
                for way in ways(settings):
                    found = notes.once(partial(taught, way, pairs, seed), way.name, pairs, seed)
                    right[way.name][pairs].append(found["named"])
                    if "shifted" in found:
                        shifted[pairs].append(found["shifted"])
                    reporter.advance(note=f"{way.name}, {pairs} pictures: {found['named']:.3f}")
    return (
        {way: {pairs: Figure(tuple(each)) for pairs, each in curve.items()} for way, curve in right.items()},
        {pairs: Figure(tuple(each)) for pairs, each in shifted.items()},
        before,
    )


def draw(named: Curves, shifted: Mapping[int, Figure], before: float) -> Canvas:
    figure, axes = plots.canvas(1)
    sizes = list(named[RECOMMENDED])
    lines = {way: list(curve.values()) for way, curve in named.items()}
    plots.bands(axes[0], sizes, lines | {"another picture shown": list(shifted.values())})
    axes[0].axhline(before, color="grey", linestyle=":", label="before")
    axes[0].set_xscale("log")
    axes[0].set_xticks(sizes, [f"{pairs:,}" for pairs in sizes])
    axes[0].set_xlabel("pictures learned of")
    axes[0].set_ylabel("share of the test pictures named")
    axes[0].set_ylim(0, 1)
    axes[0].legend(fontsize="small")
    return figure
