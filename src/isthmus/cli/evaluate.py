"""`isthmus evaluate`: how good a model is, what it owes to seeing, and what it forgot."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import answering
from isthmus.errors import InputError

if TYPE_CHECKING:
    from isthmus.data.example import Examples
    from isthmus.evaluation.run import Plan

METRICS = ("auto", "vqa", "exact", "captions", "findings")
CONTROLS = ("blind", "shuffled")
OVER = 1


def evaluate(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A default/ name, a Hugging Face id or a folder.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="WHERE", help="Questions with answers, or pictures with captions.")
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="auto, vqa, exact, captions or findings.")] = "auto",
    findings: Annotated[
        Path | None,
        typer.Option("--findings", metavar="FILE", help="What may be found: one a line, spellings parted by |."),
    ] = None,
    controls: Annotated[
        str, typer.Option("--controls", help="blind, shuffled or blind,shuffled: also ask without seeing.")
    ] = "",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="So many ways of shuffling the pictures.")] = 1,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many of the questions, drawn at random.")
    ] = None,
    language: Annotated[bool, typer.Option("--language", help="Probe the language model alone.")] = False,
    before: Annotated[str | None, typer.Option("--before", metavar="A", help="The model before training.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="B", help="The model after it: what did it forget?")
    ] = None,
    budget: Annotated[str, typer.Option("--budget", help="How much of any probe may be lost.")] = "1%",
    mend: Annotated[
        bool, typer.Option("--mend", help="Where B is over budget: measure models between, keep one.")
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for answers and results; a stopped run goes on there.")
    ] = Path("evaluation"),
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Length of an answer at most.")] = 64,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Questions asked together.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    device: answering.DeviceOption = None,
    dtype: answering.DtypeOption = None,
) -> None:
    """Judge MODEL by --data, probe its language model, or measure what --after forgot of --before.

    Exit codes: 0 done, and within the budget; 1 more was forgotten than the budget allows; 2 bad input. Ctrl-C keeps
    all answers: the same command goes on.
    """
    chosen = tuple(each.strip() for each in controls.split(",") if each.strip())
    _check(model, data, metric, findings, chosen, language, before, after)
    from isthmus.evaluation.forgetting import parse_budget

    allowed = parse_budget(budget)
    examples = None if data is None else open_examples(data)
    from isthmus.backends.backend import Options
    from isthmus.evaluation.run import Plan
    from isthmus.evaluation.terms import read_terms

    plan = Plan(
        out,
        examples,
        metric=None if metric == "auto" else metric,  # type: ignore[arg-type]  # checked above
        terms=None if findings is None else read_terms(findings),
        controls=chosen,  # type: ignore[arg-type]
        seeds=tuple(range(seeds)),
        limit=limit,
        language=language,
        batch=batch,
        options=Options(max_tokens=max_tokens),
        device=device,
        dtype=dtype,
        quiet=quiet,
    )
    try:
        if before is not None and after is not None:
            within = _gate(before, after, plan, allowed, mend, as_json)
        else:
            _judge(model or answering.DEFAULT_MODEL, plan, as_json)
            within = True
    except KeyboardInterrupt:
        sys.stderr.write(f"isthmus: stopped; what was measured is in {out}, the same command goes on\n")
        raise typer.Exit(answering.INTERRUPTED) from None
    if not within:
        raise typer.Exit(OVER)


def open_examples(where: str) -> "Examples":
    """The data at `where`. Raises InputError as `open_data`, and for a source that can only be read in its order."""
    from isthmus.data.open import open_data

    found: Any = open_data(where)
    if not hasattr(found, "__len__"):
        raise InputError(
            f"{where} can only be read from front to back", why="an evaluation draws and repeats questions",
            todo="fetch it first, and name the files",
        )  # fmt: skip
    examples: Examples = found
    return examples


def _check(
    model: str | None,
    data: str | None,
    metric: str,
    findings: Path | None,
    controls: tuple[str, ...],
    language: bool,
    before: str | None,
    after: str | None,
) -> None:
    """Before anything heavy is imported: raises InputError for words that contradict each other."""
    if metric not in METRICS:
        raise InputError(f"there is no metric {metric!r}", todo=f"metrics are {', '.join(METRICS)}")
    if findings is not None and metric != "findings":
        raise InputError(f"findings for the metric {metric}", todo="give --metric findings")
    if metric == "findings" and data is None:
        raise InputError("findings without questions", todo="give --data")
    strange = [each for each in controls if each not in CONTROLS]
    if strange:
        raise InputError(f"there is no control {strange[0]!r}", todo=f"controls are {', '.join(CONTROLS)}")
    if (before is None) != (after is None):
        raise InputError("one model is missing", todo="give both --before A and --after B")
    if before is not None and model is not None:
        raise InputError(f"{model} is one model too many", todo="give MODEL, or --before and --after")
    if controls and data is None:
        raise InputError("controls without questions", todo="give --data")
    if before is None and data is None and not language and model is None:
        raise InputError("there is nothing to measure", todo="give --data, --language, or --before and --after")


def _judge(model: str, plan: "Plan", as_json: bool) -> None:
    from isthmus.evaluation import report
    from isthmus.evaluation.run import evaluate as run

    measured = run(model, plan)
    value = report.to_json(measured, plan, _command())
    report.write_json(value, plan.out)
    _tell(value if as_json else report.to_text(measured, plan))


def _gate(before: str, after: str, plan: "Plan", budget: float, mend: bool, as_json: bool) -> bool:
    from isthmus.errors import MissingPart
    from isthmus.evaluation import report
    from isthmus.evaluation.run import compare, draw_plane

    compared = compare(before, after, plan, budget, mend=mend)
    value = report.gate_json(compared, plan, _command())
    report.write_json(value, plan.out)
    _tell(value if as_json else report.gate_text(compared, plan))
    try:
        draw_plane(compared, plan.out)
    except MissingPart as error:  # the figures stand without their picture
        sys.stderr.write(f"isthmus: no plane.png: {error}\n")
    return compared.gate.within


def _tell(value: str | dict[str, Any]) -> None:
    answering.write(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) + "\n")


def _command() -> list[str]:
    return ["isthmus", *sys.argv[1:]]
