"""What was measured, for people (a table) and for programs (JSON with seeds, intervals, fingerprints, versions)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isthmus.checkpoints.cache import written_whole
from isthmus.contrastive.metrics import Interval, Retrieval
from isthmus.errors import InputError
from isthmus.evaluation import judging
from isthmus.evaluation.findings import EACH
from isthmus.evaluation.fingerprints import versions
from isthmus.evaluation.intervals import CONFIDENCE, RESAMPLES
from isthmus.evaluation.judging import Judged, tallies
from isthmus.evaluation.probes import BITS, Probe
from isthmus.evaluation.questions import Survey
from isthmus.evaluation.run import Compared, Measured, Plan
from isthmus.evaluation.table import table
from isthmus.machine import machine

SHOWN = 5
"""So many of the records that were left out are named in the table; the JSON has all."""


def to_text(measured: Measured, plan: Plan) -> str:
    parts = []
    if measured.judged is not None and measured.survey is not None:
        parts.append(_judged_text(measured.name, measured.judged, measured.survey))
    if measured.retrieval is not None:
        parts.append(
            "\n".join([_retrieval_text(measured.retrieval), *_left_out([bad.error for bad in measured.left_out])])
        )
    if measured.probes:
        parts.append(f"probes of {measured.name}\n{_probes_text(measured.probes, plan.seeds[0])}")
    return "\n\n".join(parts) + f"\n\n{CONFIDENCE:.0%} bootstrap intervals; written to {plan.out}\n"


def gate_text(compared: Compared, plan: Plan) -> str:
    gate = compared.gate
    rows = [["probe", "before", "after", "lost, %", ""]]
    for loss in gate.losses:
        verdict = ("over" if loss.over else "") + (
            "" if loss.certain else ", not certain" if loss.over else "not certain"
        )
        rows.append([loss.probe, str(loss.before), str(loss.after), _percent(loss.share), verdict])
    lines = [
        f"forgotten from {compared.before.name} to {compared.after.name}, budget {100 * gate.budget:g} %",
        table(rows),
    ]
    lines += [f"learned: {figure} {_signed(gain)}" for figure, gain in compared.learned.items() if not figure.finding]
    if any(figure.finding for figure in compared.learned):
        lines.append("learned of each finding: in result.json")
    if len(compared.places) > 2:
        lines += ["", _places_text(compared)]
    lines.append("")
    if gate.within:
        lines.append("within the budget: no probe certainly lost a larger share of its figure")
    else:
        worst = gate.worst
        lines.append(f"over the budget: {worst.probe} lost {_percent(worst.share)} % of its figure on the same items")
        if compared.mended:
            path, alpha = compared.mended
            lines.append(f"mended: {alpha:g} of the way is within the budget; use {path}")
        elif len(compared.places) > 2:
            lines.append("not mended: no model between the two is within the budget")
        else:
            lines.append("to mend it, measure the models between the two: add --mend")
    return "\n".join(lines) + f"\n{CONFIDENCE:.0%} bootstrap intervals; written to {plan.out}\n"


def to_json(measured: Measured, plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    return {**_made(plan, command), **_measured_json(measured, plan)}


def gate_json(compared: Compared, plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    return {
        **_made(plan, command),
        "before": _measured_json(compared.before, plan),
        "after": _measured_json(compared.after, plan),
        "learned": {str(figure): gain.as_json() for figure, gain in compared.learned.items()},
        "forgetting": compared.gate.to_json(),
        "plane": [
            {
                "model": place.name,
                "learned": None if place.learned is None else place.learned.as_json(),
                "forgotten": place.gate.mean,
                "within": place.gate.within,
                "probes": {loss.probe: vars(loss.share) for loss in place.gate.losses},
            }
            for place in compared.places
        ],
        "mended": None if compared.mended is None else {"folder": str(compared.mended[0]), "alpha": compared.mended[1]},
    }


def write_json(value: dict[str, Any], out: Path) -> None:
    """To result.json in `out`, whole or not at all. Raises MissingPart where the disk refuses."""
    with written_whole(out / "result.json") as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _made(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """How it can be made again."""
    return {
        "command": list(command),
        "versions": versions(),
        "machine": machine(),
        "seeds": list(plan.seeds),
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "options": vars(plan.options) | {"limit": plan.limit, "batch": plan.batch, "dtype": plan.dtype},
    }


def _measured_json(measured: Measured, plan: Plan) -> dict[str, Any]:
    value: dict[str, Any] = {"model": {"name": measured.name, "fingerprint": measured.fingerprint, "fit": measured.fit}}
    if measured.judged is not None and measured.survey is not None:
        value |= judging.to_json(measured.judged, measured.survey)
    if measured.retrieval is not None:
        value["retrieval"] = _plain(measured.retrieval)
        value["left_out"] = [{"place": bad.place, "why": str(bad.error)} for bad in measured.left_out]
    if measured.probes:
        seed = plan.seeds[0]
        value["probes"] = [
            {**probe.to_json(), **vars(probe.figure(seed=seed)), "perplexity": probe.perplexity}
            for probe in measured.probes
        ]
    return value


def _judged_text(name: str, judged: Judged, survey: Survey) -> str:
    ways = list(judged.controls)
    rows = [["", "questions", "score", *(cell for way in ways for cell in (way, f"above {way}"))]]
    for each in judged.scores:
        if not each.figure.finding:
            cells = [str(found) for way in ways for found in (each.controls[way], _signed(each.above[way]))]
            rows.append([f"{each.figure}, {each.kind}", str(each.questions), str(each.value), *cells])
    lines = [f"{name} on {survey.name}", table(rows)]
    if judged.terms is not None:
        lines += ["", _findings_text(judged), f"findings from {judged.terms.source}"]
    lines += [f"{way}: {how}" for way, how in judged.controls.items()]
    return "\n".join(lines + _left_out([bad.error for bad in survey.bad] + [each.error for each in judged.failed]))


def _findings_text(judged: Judged) -> str:
    ways = list(judged.controls)
    rows = [["finding", "there", "named", *EACH, *(f"sensitivity above {way}" for way in ways)]]
    found = {(each.figure.finding, each.figure.name): each for each in judged.scores}
    for name, (there, said) in tallies(judged).items():
        each = [found[name, figure] for figure in EACH]
        above = [_signed(each[0].above[way]) for way in ways]
        rows.append([name, str(there), str(said), *(str(score.value) for score in each), *above])
    return table(rows)


def _left_out(errors: Sequence[InputError]) -> list[str]:
    """Lines that say what was left out, and why."""
    lines = [f"left out: {len(errors)}"] if errors else []
    lines += [f"  {error}" for error in errors[:SHOWN]]
    return lines + ([f"  and {len(errors) - SHOWN} more, in result.json"] if len(errors) > SHOWN else [])


def _probes_text(found: Sequence[Probe], seed: int) -> str:
    rows = [["", "figure", "chance", "perplexity", "items"]]
    for probe in found:
        chance = "" if probe.chance is None else f"{probe.chance:.3f}"
        perplexity = "" if probe.perplexity is None else f"{probe.perplexity:.1f}"
        rows.append([probe.name, str(probe.figure(seed=seed)), chance, perplexity, str(len(probe.rows))])
        kinds = sorted(set(probe.kinds)) if not probe.name.startswith(BITS) else []
        for kind in kinds if len(kinds) > 1 else ():
            count = probe.kinds.count(kind)
            rows.append([f"  {kind}", str(probe.figure(seed=seed, kind=kind)), "", "", str(count)])
    return table(rows)


def _retrieval_text(found: Retrieval) -> str:
    rows = [["", *(f"recall@{k}" for k in found.text_to_image.recall), "median rank", "mAP"]]
    for name, way in (("text to picture", found.text_to_image), ("picture to text", found.image_to_text)):
        figures = [*way.recall.values(), way.median_rank, way.mean_average_precision]
        rows.append([name, *map(str, figures)])
    return table(rows)


def _places_text(compared: Compared) -> str:
    rows = [["model", "learned", "forgotten, mean %", "worst probe", "lost, %"]]
    for place in compared.places:
        gain = "" if place.learned is None else _signed(place.learned)
        worst = place.gate.worst
        rows.append([place.name, gain, f"{100 * place.gate.mean:.2f}", worst.probe, _percent(worst.share)])
    return table(rows)


def _signed(found: Interval) -> str:
    if math.isnan(found.value):
        return str(found)
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _percent(found: Interval) -> str:
    return f"{100 * found.value:.2f} [{100 * found.low:.2f}, {100 * found.high:.2f}]"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return _plain(vars(value)) if hasattr(value, "__dict__") else value
