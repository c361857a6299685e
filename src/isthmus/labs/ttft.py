"""Lab `ttft`: where does the time to LLaVA-1.5-7B's first token go, and is it 300 to 600 ms on an A100?

Both ways. Measured here: encoder, projector and language model in their true widths with random weights, a few of
their layers, since all layers do the same work; what one more layer takes, times their number, is the whole. And
predicted for an A100 from the same configuration by the roofline, which says what a claimed time would mean.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure as Canvas
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaModel

from isthmus.labs import TTFT, plots
from isthmus.labs.result import Check, Figure, Finding, Result, Table
from isthmus.labs.turns import times
from isthmus.labs.work import Spent
from isthmus.latency.devices import DEVICES, device_named
from isthmus.latency.named import model_named
from isthmus.latency.operations import How
from isthmus.latency.roofline import Prediction, predict
from isthmus.latency.work import Part, Request
from isthmus.progress import Progress, progress

# The limits of the verdict, set before the first run.
NEAR = 2.0  # times a prediction that a claimed time may be, and be about right
ENCODER = (0.15, 0.25)  # as claimed
PROJECTOR = 0.05
PREFILL = (0.70, 0.80)
MOST = 0.5  # of the time is where the time goes
SHORTER = 0.5  # of the time to the first token, with a quarter of a picture's tokens, is much shorter
FAITHFUL = 0.03  # share by which what was measured may differ from the FLOPs' split, and be what they say

CLAIMED = (0.3, 0.6)
GPU, MODEL = "a100-40g", "llava-1.5-7b"
PICTURE, TEXT = 576, 100
"""Tokens."""
MEASURED: tuple[Part, ...] = ("encoder", "connector", "prefill", "sample")


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab, in the true model's widths. `vision` and `language`: width, hidden width, heads, layers;
    `sampled`: how many layers of either are timed; `vocabulary`: rows of the head."""

    image: int = 336
    patch: int = 14
    vision: tuple[int, int, int, int] = (1024, 4096, 16, 24)
    language: tuple[int, int, int, int] = (4096, 11008, 32, 32)
    vocabulary: int = 32064
    sampled: tuple[tuple[int, int], tuple[int, int]] = ((2, 6), (1, 2))
    repeats: int = 3


@dataclass(frozen=True)
class Measured:
    """Seconds by part, for each seed."""

    seconds: Mapping[Part, tuple[float, ...]]

    def share(self, part: Part) -> Figure:
        totals = [sum(each) for each in zip(*self.seconds.values(), strict=True)]
        return Figure(tuple(part / total for part, total in zip(self.seconds[part], totals, strict=True)))


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Time, predict, judge, plot."""
    measured = measure(settings, seeds, quiet=quiet)
    plots.save(draw(measured), plot)
    return Result(
        lab=TTFT.name,
        claim=TTFT.claim,
        findings=judge(measured),
        tables=(
            Table(
                "share of the time to the first token",
                {
                    part: {
                        "measured here": measured.share(part),
                        "of FLOPs": constant(flop_share(part), measured),
                        "predicted, A100": constant(predicted().share(part), measured),
                    }
                    for part in MEASURED
                },
            ),
            Table(
                f"milliseconds predicted for {MODEL}, {PICTURE} and {TEXT} tokens",
                {name: told(found, measured) for name, found in elsewhere().items()},
            ),
            Table(
                "an A100, other work: milliseconds and shares predicted",
                {name: told(found, measured) for name, found in workloads().items()},
            ),
            Table(
                "measured here: seconds",
                {part: {"whole model": Figure(measured.seconds[part])} for part in MEASURED},
            ),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=Spent(),
    )


def judge(measured: Measured) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above."""
    here = predicted()
    encoder, connector, prefill = (measured.share(part) for part in ("encoder", "connector", "prefill"))
    shares: tuple[tuple[Part, Figure], ...] = (("encoder", encoder), ("prefill", prefill))
    claimed = constant(CLAIMED[0] / here.seconds, measured)
    shorter = predicted(Request(text=TEXT, tokens=PICTURE // 4)).seconds / here.seconds
    return (
        Finding(
            f"on an A100 it is {1e3 * CLAIMED[0]:.0f} to {1e3 * CLAIMED[1]:.0f} ms",
            (Check("the least claimed over what is predicted", claimed, "at most", NEAR),),
        ),
        Finding(
            "the encoder takes 15 to 25 % of it",
            (Check("its share", encoder, "at least", ENCODER[0]), Check("its share", encoder, "at most", ENCODER[1])),
        ),
        Finding("the projector takes less than 5 %", (Check("its share", connector, "at most", PROJECTOR),)),
        Finding(
            "the prefill takes 70 to 80 %",
            (Check("its share", prefill, "at least", PREFILL[0]), Check("its share", prefill, "at most", PREFILL[1])),
        ),
        Finding("the prefill is where the time goes", (Check("its share", prefill, "at least", MOST),), core=False),
        Finding(
            "a quarter of the picture's tokens makes it much shorter",
            (Check("time predicted over all tokens'", constant(shorter, measured), "at most", SHORTER),),
            core=False,
        ),
        Finding(
            "what is measured is what the FLOPs say",
            tuple(
                Check(f"{part}, shares of time and FLOPs apart", apart(share, flop_share(part)), "at most", FAITHFUL)
                for part, share in shares
            ),
            core=False,
        ),
    )


def constant(value: float, like: Measured) -> Figure:
    """What no seed changes."""
    return Figure((value,) * len(like.seconds["encoder"]))


def apart(figure: Figure, value: float) -> Figure:
    return Figure(tuple(abs(each - value) for each in figure.values))


def predicted(request: Request | None = None, device: str = GPU, model: str = MODEL, dtype: str = "bf16") -> Prediction:
    """By the roofline, at its usual efficiencies. None: 512 x 512 and TEXT tokens, in bf16."""
    numbers = device_named(device).precision(dtype)
    asked = request or Request(text=TEXT)
    asked = Request(asked.picture, asked.text, asked.batch, asked.tokens, asked.cached, asked.logits, How(numbers))
    return predict(model_named(model), asked, device_named(device))


def flop_share(part: Part) -> float:
    here = predicted()
    return here.parts[part].flops / here.total.flops


def elsewhere() -> Mapping[str, Prediction]:
    """The same on other devices and in other numbers."""
    bf16 = ("a100-80g", "h100", "rtx-4090", "rtx-3090", "l4")
    found = {f"{DEVICES[GPU].name}, bf16": predicted()}
    found |= {f"{DEVICES[name].name}, bf16": predicted(device=name) for name in bf16}
    found[f"{DEVICES[GPU].name}, fp32"] = predicted(dtype="fp32")
    found[f"{DEVICES['t4'].name}, fp16"] = predicted(device="t4", dtype="fp16")
    return found


def workloads() -> Mapping[str, Prediction]:
    """What else is asked, and of which model."""
    return {
        "as claimed": predicted(),
        "10 text tokens": predicted(Request(text=10)),
        "1,000 text tokens": predicted(Request(text=1000)),
        "144 picture tokens": predicted(Request(text=TEXT, tokens=144)),
        "32 picture tokens": predicted(Request(text=TEXT, tokens=32)),
        "8 at once": predicted(Request(text=TEXT, batch=8)),
        "BLIP-2 OPT-2.7B": predicted(Request(text=TEXT), model="blip2-opt-2.7b"),
        "Qwen2.5-VL-7B": predicted(Request(text=TEXT), model="qwen2.5-vl-7b"),
    }


def told(found: Prediction, like: Measured) -> Mapping[str, Figure]:
    values = {
        "first token": 1e3 * found.seconds,
        "floor": 1e3 * found.floor,
        "encoder": found.share("encoder"),
        "connector": found.share("connector"),
        "prefill": found.share("prefill"),
        "peak used at 300 ms": found.floor / CLAIMED[0],
    }
    return {name: constant(value, like) for name, value in values.items()}


def measure(settings: Settings, seeds: range, *, quiet: bool) -> Measured:
    """One seed's weights after the other's."""
    found: dict[Part, list[float]] = {part: [] for part in MEASURED}
    with progress("ttft", len(seeds) * len(MEASURED), "parts", quiet=quiet) as bar:
        for seed in seeds:
            for part, seconds in one_seed(settings, seed, bar).items():
                found[part].append(seconds)
    return Measured({part: tuple(each) for part, each in found.items()})


@torch.no_grad()
def one_seed(settings: Settings, seed: int, bar: Progress) -> dict[Part, float]:
    """Seconds of each part of the whole model."""
    places = (settings.image // settings.patch) ** 2
    width, language = settings.vision[0], settings.language[0]
    few = settings.sampled
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pixels = torch.randn(1, 3, settings.image, settings.image)
        tokens, embeds = torch.randn(places, width), torch.randn(1, places + TEXT, language)
        encoders = {count: _encoder(settings, count) for count in few[0]}
        encoder = times({n: _run(each, pixel_values=pixels) for n, each in encoders.items()}, settings.repeats, seed)
        bar.advance()
        projector = nn.Sequential(nn.Linear(width, language), nn.GELU(), nn.Linear(language, language))
        connector = times({0: lambda: projector(tokens)}, settings.repeats, seed)[0]
        bar.advance()
        models = {count: _language(settings, count) for count in few[1]}
        prefill = times({n: _run(each, inputs_embeds=embeds) for n, each in models.items()}, settings.repeats, seed)
        bar.advance()
        head = nn.Linear(language, settings.vocabulary, bias=False)
        sample = times({0: lambda: head(embeds[:, -1])}, settings.repeats, seed)[0]
        bar.advance()
    return {
        "encoder": whole(encoder, settings.vision[3]),
        "connector": connector,
        "prefill": whole(prefill, settings.language[3]),
        "sample": sample,
    }


def whole(taken: Mapping[int, float], layers: int) -> float:
    """From the seconds with few layers and with more: what one more takes, and what all of them would."""
    few, more = sorted(taken)
    layer = (taken[more] - taken[few]) / (more - few)
    return taken[few] + layer * (layers - few)


def draw(measured: Measured) -> Canvas:
    """The split, measured, predicted and claimed; and the time on other devices."""
    figure, axes = plots.canvas(2)
    parts: tuple[Part, ...] = ("encoder", "connector", "prefill")
    claimed = {"encoder": sum(ENCODER) / 2, "connector": PROJECTOR / 2, "prefill": sum(PREFILL) / 2}
    plots.bars(
        axes[0],
        {
            "claimed": {part: constant(claimed[part], measured) for part in parts},
            "measured here": {part: measured.share(part) for part in parts},
            "predicted, A100": {part: constant(predicted().share(part), measured) for part in parts},
        },
        parts,
    )
    axes[0].set_title("share of the time to the first token")
    axes[0].legend(fontsize="small")
    found = elsewhere()
    places = range(len(found))
    axes[1].barh(places, [1e3 * each.seconds for each in found.values()], color=plots.COLOURS[0], label="predicted")
    axes[1].barh(places, [1e3 * each.floor for each in found.values()], color=plots.COLOURS[4], label="floor")
    axes[1].axvspan(*(1e3 * each for each in CLAIMED), color=plots.COLOURS[1], alpha=0.2, label="claimed for an A100")
    axes[1].set_yticks(places, list(found), fontsize="small")
    axes[1].invert_yaxis()
    axes[1].set_xlabel("milliseconds to the first token")
    axes[1].legend(fontsize="small")
    return figure


def _encoder(settings: Settings, layers: int) -> Any:
    width, hidden, heads, _ = settings.vision
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=hidden,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        image_size=settings.image,
        patch_size=settings.patch,
    )
    made: Any = CLIPVisionModel(config)
    return made.eval()


def _language(settings: Settings, layers: int) -> Any:
    """Its embeddings left out: it is given them."""
    width, hidden, heads, _ = settings.language
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        num_hidden_layers=layers,
        vocab_size=8,
    )
    made: Any = LlamaModel(config)
    return made.eval()


def _run(model: Any, **given: Tensor) -> Callable[[], Any]:
    return lambda: model(**given)
