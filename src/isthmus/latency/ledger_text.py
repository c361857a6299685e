"""The ledger for people and for programs: a table with bars for a terminal, JSON, and a page that stands by itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from isthmus.latency.ledger import CLOCKS, Clock, Figure, Ledger
from isthmus.latency.rounds import GAP, Together

BAR = 30
WHAT = {
    "queue": "waiting for others",
    "decode": "file to pixels, content key",
    "preprocess": "pixels through the Fit",
    "send": "request sent, until the server answers at all",
    "wait": "from there to its first text",
    "encoder": "the encoder of pictures",
    "connector": "the connector",
    "prompt": "template and tokens",
    "splice": "embeddings put together",
    "prefill": "the language model over the prompt",
    "sample": "head, choice, text",
    "unattributed": "what no part accounts for",
}


@dataclass(frozen=True)
class Setting:
    """What was measured where. `floors`: seconds by part that this machine's peaks allow, where they are known."""

    model: str
    asked: str
    machine: Mapping[str, object]
    cache: str
    floors: Mapping[str, float]


def as_text(found: Ledger, setting: Setting) -> str:
    rows: list[tuple[str, ...]] = [("part", "wall ms", "95 %", "CPU ms", "share", "÷ floor", "")]
    for line in found.lines:
        floor = setting.floors.get(line.part, 0.0)
        rows.append(
            (
                line.part, _ms(line.wall.median), _interval(line.wall), _ms(line.cpu.median),
                f"{100 * line.share:.1f} %", f"{line.wall.median / floor:.1f}" if floor > 0 else "",
                "█" * round(BAR * max(0.0, line.share)),
            )
        )  # fmt: skip
    rows.append(("watched", _ms(found.watched.median), _interval(found.watched), "", "", "", ""))
    rows.append(
        ("not watched", _ms(found.total.median), _interval(found.total), _ms(found.total_cpu.median), "", "", "")
    )
    where = setting.machine
    read = f"{found.prompt_tokens or 'an unknown number of'} tokens read"
    if found.picture_tokens:
        read += f", {found.picture_tokens} of them the picture's"
    lines = [
        f"{setting.model}: {setting.asked}; {read}; cache: {setting.cache}",
        f"{where['processor']}, {where['cores']} cores, torch threads {where['torch_threads']}, load {where['load']}, "
        f"torch {where['torch']}, transformers {where['transformers']}, {found.rounds} rounds",
        "",
        *_columns(rows),
        "",
        f"from the last byte received to the first text; 95 of 100 within {_ms(found.total_p95)} ms; the very first "
        f"answer took {_ms(found.cold)} ms",
        *(_added_up(found, clock) for clock in CLOCKS),
    ]
    if found.tokens_per_second is not None:
        lines.append(f"then {found.tokens_per_second.median:.1f} tokens/s {_interval(found.tokens_per_second, 1)}")
    return "\n".join(lines)


def together_text(found: Together) -> str:
    first = sorted(found.first)
    speed = "" if found.tokens_per_second is None else f"; {found.tokens_per_second:.1f} tokens/s of all"
    return f"{len(first)} at once: first text after {_ms(first[0])} to {_ms(first[-1])} ms{speed}"


def again_text(words: str, predicted: float, before: Ledger, after: Ledger | None) -> str:
    """`predicted`: time after over time before. `after` None: it cannot be measured here."""
    lines = [f"what if {words}: {predicted:.2f} of the time is predicted"]
    if after is None:
        lines.append("not measured: it is no other question, dtype or cache of this model on this machine")
    else:
        one, other = before.total, after.total
        ratio = other.median / one.median
        lines.append(f"measured {_ms(one.median)} ms, then {_ms(other.median)} ms {_interval(other)}: {ratio:.2f}")
    return "\n".join(lines)


def as_json(found: Ledger, setting: Setting) -> dict[str, Any]:
    """Seconds."""
    verdicts = {clock: found.verdict(clock) for clock in CLOCKS}
    return {**asdict(setting), **asdict(found), "verdict": verdicts, "gap": GAP}


def as_page(found: Ledger, setting: Setting) -> str:
    """HTML without anything from elsewhere: the waterfall and the table."""
    start, bars, rows = 0.0, [], []
    total = found.watched.median
    for at, line in enumerate(found.lines):
        width = 100 * max(0.0, line.wall.median) / total
        taken = f"{_ms(line.wall.median)} ms"
        bars.append(
            f'<li><span class="name">{line.part}</span><span class="track">'
            f'<i class="p{at % 10}" title="{line.part}: {taken}" '
            f'style="left:{start:.2f}%;width:{width:.2f}%"></i></span><span class="ms">{taken}</span></li>'
        )
        start += width
        floor = setting.floors.get(line.part, 0.0)
        cells = (
            line.part, WHAT[line.part], _ms(line.wall.median), _interval(line.wall), _ms(line.cpu.median),
            f"{100 * line.share:.1f} %", f"{line.wall.median / floor:.1f}" if floor > 0 else "",
        )  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    text = as_text(found, setting).split("\n")
    head, tail = text[:2], text[text.index("", 3) + 1 :]
    return _PAGE.format(
        title=escape(f"Time to first token: {setting.model}"),
        head="<br>".join(map(escape, head)),
        bars="\n".join(bars),
        rows="\n".join(rows),
        tail="<br>".join(map(escape, tail)),
    )


def _added_up(found: Ledger, clock: Clock) -> str:
    ratio, noise, verdict = found.adds_up[clock], found.noise[clock], found.verdict(clock)
    said = {
        "yes": "the parts add up",
        "no": "the parts do NOT add up",
        "cannot say": "no verdict: this machine varies by more than that",
    }[verdict]
    name = {"wall": "by the wall's clock", "cpu": "by processor time"}[clock]
    return (
        f"{name}: sum of the parts ÷ total timed apart {ratio.median:.3f} {_interval(ratio, 3)}, within {GAP:.0%}: "
        f"{said} (equal questions {_interval(noise, 3)})"
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f}" if seconds < 0.1 else f"{1000 * seconds:.0f}"


def _interval(figure: Figure, digits: int | None = None) -> str:
    low, high = (_ms(each) if digits is None else f"{each:.{digits}f}" for each in (figure.low, figure.high))
    return f"[{low}, {high}]"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at in (0, len(widths) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
ul {{ list-style: none; padding: 0; }}
li {{ display: grid; grid-template-columns: 7rem 1fr 6rem; gap: .5rem; align-items: center; }}
.track {{ position: relative; height: 1.1rem; border-bottom: 1px solid var(--line); }}
.track i {{ position: absolute; inset-block: 1px; min-width: 2px; border-radius: 2px; }}
.ms {{ text-align: right; font-variant-numeric: tabular-nums; }}
.p0 {{ background: #999 }} .p1 {{ background: #e69f00 }} .p2 {{ background: #56b4e9 }} .p3 {{ background: #009e73 }}
.p4 {{ background: #cc79a7 }} .p5 {{ background: #b8a500 }} .p6 {{ background: #7f7fd5 }} .p7 {{ background: #0072b2 }}
.p8 {{ background: #d55e00 }} .p9 {{ background: #888 }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ padding: .2rem .5rem; border-bottom: 1px solid var(--line); text-align: right; }}
td:nth-child(-n+2), th:nth-child(-n+2) {{ text-align: left; }}
</style>
<h1>{title}</h1>
<p>{head}</p>
<ul aria-label="waterfall">
{bars}
</ul>
<table>
<tr><th>part<th>what<th>wall ms<th>95 %<th>CPU ms<th>share<th>÷ floor</tr>
{rows}
</table>
<p>{tail}</p>
</html>
"""
