"""Predictions, audits, ridges and sweeps as text for a terminal, and as JSON."""

from collections.abc import Sequence
from typing import Any

from isthmus.latency.audit import NEAR, Audit
from isthmus.latency.ridge import Ridge
from isthmus.latency.roofline import BOUNDS, Efficiency, Prediction, Time
from isthmus.latency.whatif import Change
from isthmus.latency.work import PARTS

BAR = 24
NOT_COUNTED = "queue, reading and preparing the picture, tokenizing, the program around it"
"""What comes before the first token and no configuration tells."""


def prediction_text(found: Prediction) -> str:
    rows = [("part", "FLOP", "bytes", "floor", "predicted", "share", "", "bound by")]
    for part in PARTS:
        time = found.parts[part]
        share = found.share(part)
        rows.append((part, *_figures(time), f"{100 * share:.1f} %", "█" * round(BAR * share), _bound(time)))
    rows.append(("first token", *_figures(found.total), "", "", _bound(found.total)))
    rows.append(("each later token", *_figures(found.token), "", "", _bound(found.token)))
    return "\n".join([*heading(found), "", columns(rows), *_remarks(found)])


def heading(found: Prediction) -> list[str]:
    """What is predicted of what, and by which assumptions."""
    request, work = found.request, found.work
    seen = (
        f"{request.picture[0]}x{request.picture[1]} = {work.picture_tokens} tokens, " if request.picture else ""
    ) + f"{work.text_tokens} of text"
    how = request.how
    kernels = [
        *([] if how.fused_attention else ["eager attention"]),
        *([] if how.fused_elementwise else ["unfused kernels"]),
        *([f"{request.cached} kept from before"] if request.cached != "nothing" else []),
        *(["logits of all positions"] if request.logits == "all" else []),
    ]
    batch = f", {request.batch} at once" if request.batch > 1 else ""
    return [
        f"{found.model} on {found.device.name}, {', '.join([how.precision.name, *kernels])}: {seen}{batch}",
        f"assumed: {efficiency_text(found.efficiency)}",
    ]


def efficiency_text(efficiency: Efficiency) -> str:
    return f"{100 * efficiency.compute:g} % of peak FLOP/s, {100 * efficiency.bandwidth:g} % of bandwidth"


def change_text(found: Change) -> str:
    before, after = found.before, found.after
    rows = [("part", "before", "after", "saved", "bound by")]
    for part in PARTS:
        was, now = before.parts[part], after.parts[part]
        bounds = [time.bound if time.seconds else "nothing" for time in (was, now)]
        bound = ", then ".join(dict.fromkeys(bounds))
        rows.append((part, ms(was.seconds), ms(now.seconds), ms(was.seconds - now.seconds), bound))
    rows.append(("first token", ms(before.seconds), ms(after.seconds), ms(found.saved), ""))
    was, now = before.token, after.token
    rows.append(("each later token", ms(was.seconds), ms(now.seconds), ms(was.seconds - now.seconds), ""))
    lines = [f"before: {heading(before)[0]}", f"after:  {heading(after)[0]}", heading(after)[1]]
    return "\n".join([*lines, "", columns(rows), *_remarks(after)])


def audit_text(found: Audit) -> str:
    prediction = found.prediction
    lines = heading(prediction)
    lines.append(
        f"claimed {ms(found.claimed)}; predicted {ms(prediction.seconds)}; floor {ms(prediction.floor)}, "
        "which nothing beats in these numbers on this device"
    )
    lines.append("")
    match found.verdict:
        case "impossible":
            lines.append(f"impossible: {found.utilisation:.2g} times as fast as the floor")
        case "ahead":
            lines.append(f"possible, and {1 / found.slower:.1f} times as fast as predicted: {_used(found)}")
        case "as predicted":
            lines.append(f"as predicted, within a factor of {NEAR}: {_used(found)}")
        case "slow":
            lines.append(f"{found.slower:.1f} times as slow as predicted: {_used(found)}")
            rest = found.claimed - prediction.seconds
            lines.append(f"{ms(rest)} of it no part accounts for ({NOT_COUNTED}, or a slower way to compute)")
    if found.explanations:
        why = "it would be possible" if found.verdict == "impossible" else "as much would be predicted"
        lines += ["", f"{why}:", columns([(f"  {each.change}", ms(each.seconds)) for each in found.explanations])]
    elif found.verdict in ("impossible", "slow"):
        lines += ["", "no single change of device, dtype, kernels, batch, cache or logits explains it"]
    if found.shares:
        rows = [("part", "claimed", "", "predicted", "", "floor over claim")]
        for each in found.shares:
            used = f"{100 * each.utilisation:.1f} %" + (" (impossible)" if each.utilisation > 1 else "")
            time = prediction.parts[each.part].seconds
            shares = f"{100 * each.claimed:.1f} %", f"{100 * each.predicted:.1f} %"
            rows.append((each.part, shares[0], ms(each.seconds), shares[1], ms(time), used))
        lines += ["", columns(rows)]
    return "\n".join([*lines, *_remarks(prediction)])


def ridge_text(found: Ridge, prediction: Prediction) -> str:
    """`prediction`: of the request that was asked about."""
    own = prediction.request.how.precision.name
    rows = [("prompt", *found.seconds, "best")]
    for at, length in enumerate(found.lengths):
        taken = {name: seconds[at] for name, seconds in found.seconds.items()}
        best = min(taken, key=lambda name: taken[name])
        gain = "" if taken[best] > 0.95 * taken[own] else best
        rows.append((str(length), *(ms(each) for each in taken.values()), gain))
    tokens, prompt, batch = found.tokens[own], prediction.work.prompt, prediction.request.batch
    above = prompt > tokens
    advice = "fewer tokens of the picture pay" if above else "smaller weights pay"
    times = f"{max(prompt / tokens, tokens / prompt):.1f} times {'above' if above else 'below'}"
    at_once = f", {batch} at once" if batch > 1 else ""
    lines = [
        *heading(prediction),
        "",
        f"the ridge is at {tokens:.0f} tokens of prompt{at_once}: above it fewer tokens pay, below it smaller weights",
        f"this prompt has {prompt}, {times}: {advice}",
    ]
    others = [f"{name} {value:.0f}" for name, value in found.tokens.items() if name != own]
    if others:
        lines.append(f"ridges of other weights: {', '.join(others)}")
    return "\n".join([*lines, "", "prefill, head left out:", columns(rows)])


def sweep_text(over: str, found: Sequence[tuple[int, Prediction]]) -> str:
    rows = [(over, "prompt", *PARTS, "first token", "bound by", "")]
    most = max(each.seconds for _, each in found)
    for value, each in found:
        bar = "█" * max(1, round(BAR * each.seconds / most))
        times = [ms(each.parts[part].seconds) for part in PARTS]
        rows.append((str(value), str(each.work.prompt), *times, ms(each.seconds), _bound(each.total), bar))
    return "\n".join([*heading(found[0][1])[1:], "", columns(rows), *_remarks(found[-1][1])])


def prediction_json(found: Prediction) -> dict[str, Any]:
    request, device = found.request, found.device
    return {
        "model": found.model,
        "device": {
            "name": device.name,
            "flops_per_second": dict(device.peaks),
            "bytes_per_second": device.bandwidth,
            "memory": device.memory,
            "launch_seconds": device.launch,
        },
        "request": {
            "picture": request.picture,
            "text": request.text,
            "batch": request.batch,
            "cached": request.cached,
            "logits": request.logits,
            "dtype": request.how.precision.name,
            "fused_attention": request.how.fused_attention,
            "fused_elementwise": request.how.fused_elementwise,
        },
        "efficiency": {"compute": found.efficiency.compute, "bandwidth": found.efficiency.bandwidth},
        "picture_tokens": found.work.picture_tokens,
        "text_tokens": found.work.text_tokens,
        "weight_bytes": found.work.weight_bytes,
        "cache_bytes": found.work.cache_bytes,
        "fits": found.fits,
        "parts": {part: {**_time_json(found.parts[part]), "share": found.share(part)} for part in PARTS},
        "first_token": _time_json(found.total),
        "each_later_token": _time_json(found.token),
    }


def change_json(found: Change) -> dict[str, Any]:
    before, after = prediction_json(found.before), prediction_json(found.after)
    return {"before": before, "after": after, "saved_seconds": found.saved}


def audit_json(found: Audit) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "possible": found.possible,
        "claimed_seconds": found.claimed,
        "utilisation": found.utilisation,
        "of_peak_flops": found.of_peak,
        "of_bandwidth": found.of_bandwidth,
        "times_predicted": found.slower,
        "explanations": [{"change": each.change, "seconds": each.seconds} for each in found.explanations],
        "shares": {
            each.part: {"claimed": each.claimed, "predicted": each.predicted, "utilisation": each.utilisation}
            for each in found.shares
        },
        "prediction": prediction_json(found.prediction),
    }


def ridge_json(found: Ridge, prediction: Prediction) -> dict[str, Any]:
    return {
        "ridge_tokens": found.tokens,
        "prompt": prediction.work.prompt,
        "lengths": found.lengths,
        "prefill_seconds": found.seconds,
        "prediction": prediction_json(prediction),
    }


def sweep_json(over: str, found: Sequence[tuple[int, Prediction]]) -> dict[str, Any]:
    return {"over": over, "predictions": [{over: value, **prediction_json(each)} for value, each in found]}


def ms(seconds: float) -> str:
    """Three digits, in the unit that suits."""
    size = abs(seconds)
    if size >= 1:
        return f"{seconds:.3g} s" if size < 1000 else f"{seconds:.0f} s"
    if size >= 1e-3:
        return f"{1e3 * seconds:.0f} ms" if size >= 0.0995 else f"{1e3 * seconds:.3g} ms"
    return f"{1e3 * seconds:.2f} ms" if seconds else "0"


def large(number: float) -> str:
    """Four digits and the thousands they are in: 8.995 T, 382 G."""
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.4g} {letter}"
    return f"{number:.0f}"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Lines of cells, two blanks between; a column of figures stands to the right."""
    out = []
    for column in zip(*rows, strict=True):
        width = max(map(len, column))
        right = all(cell[:1].isdigit() or cell[:1] == "-" or not cell for cell in column[1:]) and any(column[1:])
        out.append([cell.rjust(width) if right else cell.ljust(width) for cell in column])
    return "\n".join("  ".join(line).rstrip() for line in zip(*out, strict=True))


def _figures(time: Time) -> tuple[str, str, str, str]:
    return large(time.flops), large(time.bytes), ms(time.floor), ms(time.seconds)


def _bound(time: Time) -> str:
    """What takes most of the time, with its share where it is not nearly all."""
    if not time.seconds:
        return ""
    share = time.by[time.bound] / time.seconds
    return time.bound if share > 0.99 else f"{time.bound} {100 * share:.0f} %"


def _used(found: Audit) -> str:
    return (
        f"{100 * found.of_peak:.1f} % of peak FLOP/s, {100 * found.of_bandwidth:.1f} % of bandwidth "
        f"(floor over claim {100 * found.utilisation:.1f} %)"
    )


def _remarks(found: Prediction) -> list[str]:
    if found.fits:
        return []
    needs, has = found.needs / 1e9, found.device.memory / 1e9
    return ["", f"does not fit: weights, keys and values take {needs:.1f} GB, {found.device.name} has {has:.0f}"]


def _time_json(time: Time) -> dict[str, Any]:
    return {
        "seconds": time.seconds,
        "floor_seconds": time.floor,
        "seconds_by_bound": {bound: time.by[bound] for bound in BOUNDS},
        "bound": time.bound,
        "flops": time.flops,
        "weight_bytes": time.weight_bytes,
        "activation_bytes": time.activation_bytes,
    }
