"""How well a model answers the questions of a source, beside what it answers without seeing: figures with intervals."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from isthmus.backends.backend import Backend, Options
from isthmus.contrastive.metrics import Interval
from isthmus.data.example import Examples
from isthmus.errors import InputError
from isthmus.evaluation.asking import BATCH, AnswerLog, Failed, ask, unanswered
from isthmus.evaluation.controls import blind, blind_by, donors, shown, shuffled
from isthmus.evaluation.intervals import Rows, differences, intervals
from isthmus.evaluation.metrics import Figure, Metric, Name, fitting, metrics
from isthmus.evaluation.questions import Prompt, Question, Survey
from isthmus.evaluation.terms import Terms, terms_of
from isthmus.progress import Progress

Control: TypeAlias = Literal["blind", "shuffled"]
CONTROLS: tuple[Control, ...] = ("blind", "shuffled")
ALL = "all"
Meter: TypeAlias = Callable[[str, int, str], AbstractContextManager[Progress]]
"""(label, total, unit) -> where progress is reported."""


@dataclass(frozen=True)
class Score:
    """One figure of one kind of question, beside its controls; `above`: how much more it is, question by question."""

    figure: Figure
    kind: str
    questions: int
    value: Interval
    controls: Mapping[str, Interval] = field(default_factory=dict)
    above: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """`asked`: the questions that count. `rows`: for each of the `metrics` what is kept of them, for comparing with
    another model. `controls`: how each was made. `failed`: those that could not be asked. `terms`: of findings."""

    metric: Name
    asked: tuple[Question, ...]
    scores: tuple[Score, ...]
    rows: tuple[Rows, ...]
    controls: Mapping[str, str]
    failed: tuple[Failed, ...]
    terms: Terms | None = None


def judge(
    backend: Backend,
    examples: Examples,
    survey: Survey,
    log: AnswerLog,
    *,
    metric: Name | None = None,
    terms: Terms | None = None,
    controls: Sequence[Control] = (),
    seeds: Sequence[int] = (0,),
    options: Options,
    batch: int = BATCH,
    meter: Meter,
) -> Judged:
    """Asks all questions of `survey`, then the controls. `metric` None: the fitting one. `terms`: of the findings, None
    for the answers expected themselves.

    `seeds`: each shuffles the pictures another way, and what shuffling gives is the mean over them. A greedy answer
    depends on no seed. A question that fails in any way of asking counts in none. Raises InputError where none is left,
    or the answers expected are too many to be findings.
    """
    questions = survey.questions
    name = metric or fitting([question.answers for question in questions])
    if name == "findings":
        terms = terms or terms_of(answer for question in questions for answer in question.answers)
    ways, how = _ways(backend, examples, questions, controls, seeds)
    total = sum(unanswered(prompts, options, log) for each in ways.values() for prompts in each)
    with meter("asking", total, "answers") as reporter:
        said = {
            way: [ask(backend, prompts, options, log, batch=batch, reporter=reporter) for prompts in each]
            for way, each in ways.items()
        }
    failed = {
        at: each
        for answers in said.values()
        for one in answers
        for at, each in enumerate(one)
        if isinstance(each, Failed)
    }
    kept = [at for at in range(len(questions)) if at not in failed]
    if not kept:
        raise InputError(f"no question of {survey.name} could be asked", why=str(failed[0].error))
    asked = tuple(questions[at] for at in kept)
    expected = [question.answers for question in asked]
    scores: list[Score] = []
    ours: list[Rows] = []
    for each_metric in metrics(name, terms):
        # The mean over seeds of what is kept: of one seed, and of figures that are means, the mean of the figures.
        rows = {
            way: np.mean([each_metric.rows([str(one[at]) for at in kept], expected) for one in answers], axis=0)
            for way, answers in said.items()
        }
        ours.append(rows["shown"])
        scores += _scores(each_metric, asked, rows, seeds[0])
    return Judged(name, asked, tuple(scores), tuple(ours), how, tuple(failed[at] for at in sorted(failed)), terms)


def learned(before: Judged, after: Judged, *, seed: int) -> dict[Figure, Interval]:
    """Of each figure, how much more the model `after` scores than the one `before`, question by question.

    Raises InputError where they were not asked the same.
    """
    same = [each.hash for each in before.asked] == [each.hash for each in after.asked]
    if not same or (before.metric, before.terms) != (after.metric, after.terms):
        raise InputError("the two models were not judged by the same questions", todo="ask both the same")
    groups = _groups(before.asked)
    found: dict[Figure, Interval] = {}
    for metric, ours, theirs in zip(metrics(before.metric, before.terms), after.rows, before.rows, strict=True):
        gained = differences(ours, theirs, metric.combine, seed=seed, groups=groups)
        found |= dict(zip(metric.figures, gained, strict=True))
    return found


def _ways(
    backend: Backend,
    examples: Examples,
    questions: Sequence[Question],
    controls: Sequence[Control],
    seeds: Sequence[int],
) -> tuple[dict[str, list[list[Prompt]]], dict[str, str]]:
    """For each way of asking its prompts (a list for each seed), and in words how each control was made."""
    ways = {"shown": [[shown(examples, each) for each in questions]]}
    how: dict[str, str] = {}
    if "blind" in controls:
        by = blind_by(backend, examples, questions)
        ways["blind"] = [[blind(examples, each, by) for each in questions]]
        how["blind"] = by
    if "shuffled" in controls:
        ways["shuffled"] = [
            [shuffled(examples, each, donor) for each, donor in zip(questions, donors(questions, seed), strict=True)]
            for seed in seeds
        ]
        how["shuffled"] = f"another question's pictures, mean over {len(seeds)} seeds"
    return ways, how


def _scores(metric: Metric, asked: Sequence[Question], rows: Mapping[str, Rows], seed: int) -> list[Score]:
    """Of all questions together and, where they are of several kinds, of each kind; of single findings of all alone."""
    kinds = sorted({question.kind for question in asked})
    found = []
    for kind in [ALL, *(kinds if len(kinds) > 1 else ())]:
        at = [i for i, question in enumerate(asked) if kind == ALL or question.kind == kind]
        groups = _groups([asked[i] for i in at])
        own = {way: each[at] for way, each in rows.items()}
        values = {way: intervals(each, metric.combine, seed=seed, groups=groups) for way, each in own.items()}
        seen = values.pop("shown")
        above = {way: differences(own["shown"], own[way], metric.combine, seed=seed, groups=groups) for way in values}
        found += [
            Score(
                figure,
                kind or "(none)",
                len(at),
                seen[place],
                {way: each[place] for way, each in values.items()},
                {way: each[place] for way, each in above.items()},
            )
            for place, figure in enumerate(metric.figures)
            if kind == ALL or not figure.finding
        ]
    return found


def _groups(asked: Sequence[Question]) -> list[object]:
    """Questions about one picture are drawn together: they are not independent of each other."""
    return [question.pictures or question.hash for question in asked]


def to_json(judged: Judged, survey: Survey) -> dict[str, Any]:
    """Plain values, ready for json.dumps."""
    left_out = [(bad.place, str(bad.error)) for bad in survey.bad]
    left_out += [(each.place, str(each.error)) for each in judged.failed]
    return {
        "data": {"name": survey.name, "fingerprint": survey.fingerprint, "questions": len(judged.asked)},
        "left_out": [{"place": place, "why": why} for place, why in left_out],
        "metric": judged.metric,
        "controls": dict(judged.controls),
        **({} if judged.terms is None else {"findings": _findings_json(judged)}),
        "scores": [
            {
                "metric": each.figure.name,
                **({"finding": each.figure.finding} if each.figure.finding else {}),
                "kind": each.kind,
                "questions": each.questions,
                **each.value.as_json(),
                "controls": {way: found.as_json() for way, found in each.controls.items()},
                "above": {way: found.as_json() for way, found in each.above.items()},
            }
            for each in judged.scores
        ],
    }


def tallies(judged: Judged) -> dict[str, tuple[int, int]]:
    """Of each finding, in how many of the questions it is there, and in how many answers it is named."""
    assert judged.terms is not None
    tp, fn, fp, _ = np.split(judged.rows[0].sum(0).astype(int), 4)
    return {
        name: (int(hit + missed), int(hit + wrong))
        for name, hit, missed, wrong in zip(judged.terms.names, tp, fn, fp, strict=True)
    }


def _findings_json(judged: Judged) -> dict[str, Any]:
    assert judged.terms is not None
    spellings = {
        name: [" ".join(each) for each in spelled]
        for name, spelled in zip(judged.terms.names, judged.terms.spellings, strict=True)
    }
    counts = tallies(judged)
    return {
        "from": judged.terms.source,
        "terms": [
            {"name": name, "spellings": each, "there": counts[name][0], "named": counts[name][1]}
            for name, each in spellings.items()
        ],
    }
