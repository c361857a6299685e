"""Lab `compress`: do a few query tokens in place of all save the language model's time, and what do they lose?

The cost: prefills of SmolLM2-135M with pictures of 1 to 576 tokens, and the arithmetic of a 7B model. The loss: queries
that make few tokens of a picture's 36 cells learn together with a small reader to answer questions about drawn scenes,
against averages of neighbouring cells and all cells. As many queries as cells are the control: what they lose, they
lose without compressing anything.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure as Canvas
from torch import nn

from isthmus.connectors import LinearConnector, MlpConnector, ResamplerConnector
from isthmus.labs import COMPRESS, plots
from isthmus.labs.asked import COUNT, KINDS, TEXT
from isthmus.labs.prefill import flop_7b, seconds
from isthmus.labs.reader import ANSWERING, Reader, Schedule
from isthmus.labs.result import Check, Figure, Finding, Result, Table
from isthmus.labs.scenes import MEAN, Pool, answered, draw_pool, split
from isthmus.labs.work import Spent
from isthmus.precision import fast_dtype
from isthmus.progress import Progress, progress
from isthmus.vlm.language_model import load_language_model

# The limits of the verdict, set before the first run.
CHEAPER = 0.25  # a prefill that takes so much of the whole one's time or less is cut
LITTLE = 0.05  # accuracy that may be lost and be called little
QUADRATIC = 1.5  # exponent of cost over tokens from which on it grows rather with the square than linearly

FEW, MANY, TWICE_AS_FEW = 32, 576, 288
"""Tokens of BLIP-2 and of LLaVA-1.5, and half of these."""

QUERIES, AVERAGED = "queries", "averages"


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `queries`: token counts by learned queries; `factors`: neighbours, both ways, that are averaged
    to one, 1 for none. The count that is judged, `judged`, is to all cells about as 32 is to 256.

    `prompt`: text tokens beside the picture; `lengths`: its own, whose prefill is timed.
    """

    pictures: int = 2000
    test: int = 400
    side: int = 192
    queries: tuple[int, ...] = (1, 4, 9, 36)
    factors: tuple[int, ...] = (6, 3, 2, 1)
    judged: int = 4
    width: int = 96
    layers: int = 2
    answering: Schedule = ANSWERING
    language_model: str = "default/smollm2"
    prompt: int = 32
    lengths: tuple[int, ...] = (1, 4, 9, 18, FEW, 36, 144, TWICE_AS_FEW, MANY)
    repeats: int = 3


@dataclass(frozen=True)
class Measured:
    """answers: [QUERIES or AVERAGED][tokens][kind of question, and MEAN over them]; cost: [tokens], a prefill's time as
    a share of the longest one's; the exponent with which time grows from TWICE_AS_FEW to MANY tokens."""

    answers: Mapping[str, Mapping[int, Mapping[str, Figure]]]
    cost: Mapping[int, Figure]
    exponent: Figure

    @property
    def all_tokens(self) -> int:
        return max(self.answers[AVERAGED])


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Time, draw, train, measure, judge, plot."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(measured, settings), plot)
    whole = settings.prompt + MANY
    return Result(
        lab=COMPRESS.name,
        claim=COMPRESS.claim,
        findings=judge(measured, settings),
        tables=(
            *(
                Table(
                    f"share of right answers on {settings.test} test pictures, by tokens: {way}",
                    {str(count): row for count, row in rows.items()},
                )
                for way, rows in measured.answers.items()
            ),
            Table(
                f"prefill of a picture's tokens and {settings.prompt} of text, as a share of {MANY} tokens'",
                {
                    str(n): {
                        "time, SmolLM2-135M": share,
                        "FLOP, 7B": constant(flop_7b(n + settings.prompt) / flop_7b(whole), share),
                    }
                    for n, share in measured.cost.items()
                },
            ),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured, settings: Settings) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    few, everything = measured.answers[QUERIES][settings.judged], measured.answers[AVERAGED][measured.all_tokens]
    flop = {n: flop_7b(n + settings.prompt) for n in (FEW, MANY)}

    def lost(kind: str) -> Check:
        what = f"{kind}, all {measured.all_tokens} tokens less {settings.judged} queries"
        return Check(what, less(everything[kind], few[kind]), "at most", LITTLE)

    same = measured.answers[AVERAGED][settings.judged]
    return (
        Finding(
            f"{FEW} tokens instead of {MANY} cut the cost of reading the prompt",
            (
                Check("time of SmolLM2-135M's prefill", measured.cost[FEW], "at most", CHEAPER),
                Check("FLOP of a 7B's", constant(flop[FEW] / flop[MANY], measured.cost[FEW]), "at most", CHEAPER),
            ),
        ),
        Finding("queries of a ninth as many tokens lose little", (lost(MEAN),)),
        Finding("nor do they lose fine detail", (lost(TEXT), lost(COUNT)), core=False),
        Finding(
            "they lose less than as many averages do",
            (Check("mean, queries less averages", less(few[MEAN], same[MEAN]), "at least", 0.0),),
            core=False,
        ),
        Finding(
            "the cost grows with the square of the tokens",
            (Check(f"exponent of time, {TWICE_AS_FEW} to {MANY} tokens", measured.exponent, "at least", QUADRATIC),),
            core=False,
        ),
    )


def less(one: Figure, other: Figure) -> Figure:
    return Figure(tuple(a - b for a, b in zip(one.values, other.values, strict=True)))


def constant(value: float, like: Figure) -> Figure:
    """What no seed changes."""
    return Figure((value,) * len(like.values))


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """Time first, for which the language model must be there; then every connector with every seed."""
    language = load_language_model(settings.language_model, dtype=fast_dtype("cpu"))
    arms = [(QUERIES, n) for n in settings.queries]
    cells = (settings.side // 32) ** 2
    arms += [(AVERAGED, cells // factor**2) for factor in settings.factors]
    work = len(settings.lengths) * len(seeds) + settings.pictures + len(arms) * len(seeds) * settings.answering.steps
    with progress("compress", work, "prefills, pictures and steps", quiet=quiet) as bar:
        times = []
        for seed in seeds:
            found = seconds(language.model, [n + settings.prompt for n in settings.lengths], settings.repeats, seed)
            times.append({n: found[n + settings.prompt] for n in settings.lengths})
            bar.advance(len(settings.lengths))
        del language
        pool = draw_pool(settings.pictures, settings.side, bar)
        scores = [{arm: score(*arm, pool, settings, seed, bar) for arm in arms} for seed in seeds]
    return Measured(
        answers={
            way: {
                n: {kind: Figure(tuple(rows[way, n][kind] for rows in scores)) for kind in (*KINDS, MEAN)}
                for arm, n in arms
                if arm == way
            }
            for way in (QUERIES, AVERAGED)
        },
        cost={n: Figure(tuple(each[n] / each[MANY] for each in times)) for n in settings.lengths},
        exponent=Figure(tuple(growth(each, settings.prompt) for each in times)),
    )


def growth(times: Mapping[int, float], prompt: int) -> float:
    """The exponent of time over all tokens of the prompt, the last two lengths compared."""
    grown = math.log((MANY + prompt) / (TWICE_AS_FEW + prompt))
    return math.log(times[MANY] / times[TWICE_AS_FEW]) / grown


def score(way: str, count: int, pool: Pool, settings: Settings, seed: int, bar: Progress) -> dict[str, float]:
    """Right answers by kind with so many tokens."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        connector = _connector(way, count, pool, settings)
        reader = Reader(pool.asked, settings.width, slots=count, width=settings.width, layers=settings.layers)
        rows = split(settings.pictures, settings.test, seed)
        return answered(connector, reader, pool, rows, settings.answering, seed, bar)


def _connector(way: str, count: int, pool: Pool, settings: Settings) -> nn.Module:
    numbers, width = pool.numbers, settings.width
    if way == QUERIES:
        return ResamplerConnector(numbers, width, queries=count, layers=settings.layers, heads=4)
    if count == pool.cells:
        return LinearConnector(numbers, width)
    return MlpConnector(numbers, width, layers=1, reduction="average", factor=math.isqrt(pool.cells // count))


def draw(measured: Measured, settings: Settings) -> Canvas:
    """Accuracy over tokens, by kind for the queries; and the cost of tokens."""
    figure, axes = plots.canvas(3)
    for axis, way in ((axes[0], QUERIES), (axes[1], AVERAGED)):
        rows = measured.answers[way]
        plots.bands(axis, list(rows), {kind: [row[kind] for row in rows.values()] for kind in (*KINDS, MEAN)})
        axis.set_xscale("log", base=2)
        axis.set_xticks(list(rows), [str(n) for n in rows])
        axis.set_ylim(0, 1.02)
        axis.set_xlabel("tokens a picture")
    axes[0].set_title("right answers, learned queries")
    axes[1].set_title("right answers, averages of neighbours\n(at the right end: all cells)")
    axes[0].legend(fontsize="small")
    lengths = list(measured.cost)
    shares = list(measured.cost.values())
    whole = flop_7b(MANY + settings.prompt)
    flop = [constant(flop_7b(n + settings.prompt) / whole, shares[0]) for n in lengths]
    plots.bands(axes[2], lengths, {"time of SmolLM2-135M": shares, "FLOP of a 7B": flop})
    axes[2].set_title(f"prefill, as a share of {MANY} tokens'")
    axes[2].set_xlabel("tokens a picture")
    axes[2].legend(fontsize="small")
    return figure
