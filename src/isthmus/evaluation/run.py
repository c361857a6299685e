"""A whole evaluation: of one model, or of one before and after its training. What `isthmus evaluate` does.

Everything long is kept in the folder `out`: answers in answers.jsonl, probes in probes/. The same call again goes on
where it was broken off, and what is measured of equal weights is measured once.
"""

import gc
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from isthmus.backends.backend import Options
from isthmus.checkpoints import resolve
from isthmus.contrastive.metrics import Interval, Retrieval
from isthmus.data.example import Bad, Examples
from isthmus.errors import InputError
from isthmus.evaluation.asking import BATCH, AnswerLog
from isthmus.evaluation.fingerprints import model_fingerprint
from isthmus.evaluation.forgetting import Gate, gate
from isthmus.evaluation.judging import Control, Judged, Meter, judge, learned
from isthmus.evaluation.mending import ALPHAS, Point, furthest, write_mended
from isthmus.evaluation.metrics import Figure, Name
from isthmus.evaluation.plane import Place, draw
from isthmus.evaluation.probes import Probe
from isthmus.evaluation.questions import Survey, survey
from isthmus.evaluation.retrieval import evaluate_retrieval
from isthmus.evaluation.subject import Subject, language, load_subject, probes, vision
from isthmus.evaluation.terms import Terms
from isthmus.progress import progress

MAX_TOKENS = 64


@dataclass(frozen=True)
class Plan:
    """What is measured and how. `metric` None: the fitting one. `terms`: of the metric "findings", None for the answers
    expected themselves. `limit`: so many questions, drawn by the first seed."""

    out: Path
    data: Examples | None = None
    metric: Name | None = None
    terms: Terms | None = None
    controls: tuple[Control, ...] = ()
    seeds: tuple[int, ...] = (0,)
    limit: int | None = None
    language: bool = False
    batch: int = BATCH
    options: Options = field(default_factory=lambda: Options(max_tokens=MAX_TOKENS))
    device: str | None = None
    dtype: str | None = None
    quiet: bool = False

    @property
    def meter(self) -> Meter:
        return partial(progress, quiet=self.quiet)


@dataclass(frozen=True)
class Measured:
    """Of one model. `fingerprint` and `fit` of a model that answers; None where something was not asked for."""

    name: str
    fingerprint: str | None = None
    fit: str | None = None
    survey: Survey | None = None
    judged: Judged | None = None
    probes: tuple[Probe, ...] = ()
    retrieval: Retrieval | None = None
    left_out: tuple[Bad, ...] = ()
    """Records that could not be embedded."""


@dataclass(frozen=True)
class Compared:
    """`gate`: of `after` against `before`. `learned`: by figure of the data's metric, how much more `after` scores.
    `places`: all models in the plane, `mended` the folder of the one that was kept and how far along it is."""

    before: Measured
    after: Measured
    gate: Gate
    learned: dict[Figure, Interval]
    places: tuple[Place, ...]
    mended: tuple[Path, float] | None = None


def evaluate(name: str, plan: Plan) -> Measured:
    """The model `name` by `plan`. Raises InputError where the plan asks of it what it cannot do."""
    subject = load_subject(name, device=plan.device, dtype=plan.dtype)
    if subject.embedder is not None:
        found = Measured(name, probes=vision(subject, plan.meter, kept=plan.out / "probes", seed=plan.seeds[0]))
        if plan.data is None:
            return found
        with plan.meter("embedding", len(plan.data), "examples") as reporter:
            pairs, bad = evaluate_retrieval(subject.embedder, plan.data, seed=plan.seeds[0], reporter=reporter)
        return replace(found, retrieval=pairs, left_out=bad)
    found = _judged(subject, plan, None) if plan.data is not None else Measured(name)
    if not plan.language:
        return found
    if subject.speaker is None:
        raise InputError(f"{name} has no language probes", why="its language model is not at hand, or not causal")
    return replace(found, probes=language(subject, plan.meter, kept=plan.out / "probes", seed=plan.seeds[0]))


def compare(before: str, after: str, plan: Plan, budget: float, *, mend: bool = False) -> Compared:
    """What the model `after` forgot of what `before` could, and what it learned on the plan's data.

    `mend`: where `after` is over the budget, models between the two are measured too, and the one furthest along that
    is within it is written to `out`/mended. Raises InputError as `evaluate`, and where the two have nothing in common.
    """
    old = _all(before, plan, None)
    new = _all(after, plan, old.survey)
    seed = plan.seeds[0]
    found = gate(old.probes, new.probes, budget, seed=seed)
    gained = learned(old.judged, new.judged, seed=seed) if old.judged and new.judged else {}
    start = Place("before", _gain(old, old, seed), gate(old.probes, old.probes, budget, seed=seed))
    end = Place("after", _gain(old, new, seed), found)
    places, kept = [start, end], None
    if mend and not found.within:
        between = [Point(alpha, _mixed(before, after, alpha, old, plan, budget)) for alpha in ALPHAS[1:-1]]
        points = [Point(0.0, start), *between, Point(1.0, end)]
        places = [point.found for point in points]
        best = furthest(points, lambda place: place.gate.within)
        assert best is not None, "a model forgets nothing of itself"
        if 0 < best.alpha < 1:
            write_mended(resolve(before), resolve(after), best.alpha, plan.out / "mended")
            kept = plan.out / "mended", best.alpha
    return Compared(old, new, found, gained, tuple(places), kept)


def draw_plane(compared: Compared, out: Path) -> Path:
    """Writes plane.png to `out`. Raises MissingPart without matplotlib."""
    path = out / "plane.png"
    name = next(iter(compared.learned), None)
    axis = "nothing was asked: give --data" if name is None else f"learned: {name} more than before"
    draw(compared.places, path, learned=axis, budget=compared.gate.budget)
    return path


def _all(name: str, plan: Plan, asked: Survey | None) -> Measured:
    """Everything that can be measured of a model, which is let go of then."""
    subject = load_subject(name, device=plan.device, dtype=plan.dtype)
    found = _judged(subject, plan, asked) if plan.data is not None else Measured(name)
    found = replace(found, probes=probes(subject, plan.meter, kept=plan.out / "probes", seed=plan.seeds[0]))
    del subject
    gc.collect()
    return found


def _judged(subject: Subject, plan: Plan, asked: Survey | None) -> Measured:
    backend = subject.backend
    assert plan.data is not None
    if backend is None:
        raise InputError(
            f"{subject.name} answers no questions about pictures", todo="leave out --data, or name a composed model"
        )
    if asked is None:
        with plan.meter("reading", min(len(plan.data), plan.limit or len(plan.data)), "examples") as reporter:
            asked = survey(plan.data, limit=plan.limit, seed=plan.seeds[0], reporter=reporter)
    fingerprint = model_fingerprint(backend)
    found = judge(
        backend,
        plan.data,
        asked,
        AnswerLog(plan.out / "answers.jsonl", fingerprint),
        metric=plan.metric,
        terms=plan.terms,
        controls=plan.controls,
        seeds=plan.seeds,
        options=plan.options,
        batch=plan.batch,
        meter=plan.meter,
    )
    fit = None if subject.encoder is None else subject.encoder.fit.fingerprint
    return Measured(subject.name, fingerprint, fit, asked, found)


def _mixed(before: str, after: str, alpha: float, old: Measured, plan: Plan, budget: float) -> Place:
    """The model `alpha` of the way along, measured and deleted again."""
    plan.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=plan.out, prefix="mixed-") as folder:
        name = str(write_mended(resolve(before), resolve(after), alpha, Path(folder)))
        found = _all(name, replace(plan, controls=()), old.survey)
    seed = plan.seeds[0]
    return Place(f"{alpha:g}", _gain(old, found, seed), gate(old.probes, found.probes, budget, seed=seed))


def _gain(old: Measured, new: Measured, seed: int) -> Interval | None:
    """By the first figure of the metric."""
    if old.judged is None or new.judged is None:
        return None
    return next(iter(learned(old.judged, new.judged, seed=seed).values()))
