"""Lab `forgetting`: does full fine-tuning forget, and can frozen parts not?

The default model learns clothes from few pictures, with the language model frozen, with a low-rank addition of several
ranks, and with all of it trained. What it learned is the share of test pictures it names; what it forgot is what the
language model's probes lost. One of the ranks is also trained with rehearsal; the full one is also mixed half and half
with what it began as.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from operator import sub
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure as Canvas

from isthmus.evaluation.domains import domains
from isthmus.evaluation.forgetting import gate
from isthmus.evaluation.items import read as read_items
from isthmus.evaluation.mending import interpolate
from isthmus.evaluation.probes import BITS, CHOICES, Probe, bits_per_byte, choices
from isthmus.evaluation.speaker import speaker_of
from isthmus.labs import FORGETTING, plots
from isthmus.labs.adapting import Stage, Way, Work, answered, begin, teach
from isthmus.labs.clothes import clothes
from isthmus.labs.notes import SUFFIX, Notes
from isthmus.labs.result import Check, Figure, Finding, Result, Table, by_seed
from isthmus.progress import SILENT, progress
from isthmus.training.ahead import Encode
from isthmus.training.feature_cache import FeatureCache
from isthmus.training.policy import Learns, LoraLearns, Policy
from isthmus.training.rehearsal import Rehearse
from isthmus.vlm.model import VisionLanguageModel

# The limits of the verdict. They were set before the first look at a test picture and have not moved.
FORGOT = 0.01  # mean share of the probes' figures that was lost
LEARNED = 0.2  # share of the test pictures named more than before
AS_MUCH = 0.05  # by how much less than full fine-tuning names

CONNECTOR, REHEARSED, FULL, HALF = "connector only", "LoRA, rehearsed", "full", "full, half-way back"


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `passages`: of each domain of texts; `questions`: with choices. Rates were chosen on training
    pictures that nothing was trained on."""

    pairs: int = 50
    test: int = 100
    work: Work = field(default_factory=lambda: Work(steps=60, batch=4))
    ranks: tuple[int, ...] = (2, 8, 32)
    rehearsed: int = 8
    passages: int = 6
    questions: int = 40
    connector_alone: float = 3e-3
    connector: float = 2e-4
    lora: float = 6e-4
    full: float = 5e-5


@dataclass(frozen=True)
class Run:
    """Of one way and seed. `gained`: share of the test pictures named, less that before. `lost`: by probe, the share of
    its figure. `trained`: parameters."""

    gained: float
    lost: Mapping[str, float]
    trained: int

    @property
    def forgot(self) -> float:
        """Mean over the domains of texts. Choices are shown beside it: a single question is more than a per cent."""
        texts = [share for probe, share in self.lost.items() if probe != CHOICES]
        return sum(texts) / len(texts)


def run(settings: Settings, seeds: range, plot: Path, *, quiet: bool) -> Result:
    """Teach, measure, judge, draw. What is taught and judged is noted beside the plot."""
    notes = Notes(plot.with_suffix(SUFFIX), asdict(settings) | {"ways": ways(settings)})
    found = measure(settings, seeds, notes, quiet=quiet)
    plots.save(draw(found), plot)
    rows = {
        way: {
            "trained parameters, M": Figure(tuple(run.trained / 1e6 for run in runs)),
            "named more than before": gained(runs),
            "forgot, %": by_seed(lambda share: 100 * share, forgot(runs)),
        }
        for way, runs in found.items()
    }
    lost = {
        way: {probe: Figure(tuple(100 * run.lost[probe] for run in runs)) for probe in runs[0].lost}
        for way, runs in found.items()
    }
    return Result(
        lab=FORGETTING.name,
        claim=FORGETTING.claim,
        findings=judge(found, lora_name(settings.rehearsed)),
        tables=(
            Table(f"learned of {settings.pairs} pictures, and forgotten (mean over the domains of texts)", rows),
            Table("lost, % of each probe's figure", lost),
        ),
        settings=asdict(settings),
        seeds=tuple(seeds),
        plot=plot,
        spent=notes.spent,
    )


def judge(found: Mapping[str, Sequence[Run]], lora: str) -> tuple[Finding, ...]:
    """The parts of the claim, against the limits above. `lora`: the way that stands for all ranks."""
    worst = Figure(tuple(max(abs(share) for share in run.lost.values()) for run in found[CONNECTOR]))

    def less(ours: str, others: str, of: Callable[[Sequence[Run]], Figure]) -> Figure:
        return by_seed(sub, of(found[ours]), of(found[others]))

    return (
        Finding(
            "full fine-tuning learns",
            (Check("named more than before, full", gained(found[FULL]), "at least", LEARNED),),
        ),
        Finding(
            "full fine-tuning forgets",
            (Check("mean share of the texts' figures lost, full", forgot(found[FULL]), "at least", FORGOT),),
        ),
        Finding("what is frozen cannot forget", (Check("largest change, connector only", worst, "at most", 0.0),)),
        Finding(
            "a low-rank addition forgets less",
            (Check(f"share lost, {lora} less full", less(lora, FULL, forgot), "at most", 0.0),),
        ),
        Finding(
            "and names as much",
            (Check(f"named, {lora} less full", less(lora, FULL, gained), "at least", -AS_MUCH),),
            core=False,
        ),
        Finding(
            "rehearsed, it forgets less still, and names as much as without",
            (
                Check(f"share lost, {REHEARSED} less {lora}", less(REHEARSED, lora, forgot), "at most", 0.0),
                Check(f"named, {REHEARSED} less {lora}", less(REHEARSED, lora, gained), "at least", -AS_MUCH),
            ),
            core=False,
        ),
        Finding(
            "the connector alone names as much",
            (Check("named, connector only less full", less(CONNECTOR, FULL, gained), "at least", -AS_MUCH),),
            core=False,
        ),
        Finding(
            "half-way back to what it was, it forgot less and names as much",
            (
                Check("share lost, half-way less full", less(HALF, FULL, forgot), "at most", 0.0),
                Check("named, half-way less full", less(HALF, FULL, gained), "at least", -AS_MUCH),
            ),
            core=False,
        ),
    )


def gained(runs: Sequence[Run]) -> Figure:
    return Figure(tuple(run.gained for run in runs))


def forgot(runs: Sequence[Run]) -> Figure:
    return Figure(tuple(run.forgot for run in runs))


def lora_name(rank: int) -> str:
    return f"LoRA, rank {rank}"


def ways(settings: Settings) -> tuple[Way, ...]:
    beside = Learns(settings.connector)
    return (
        Way(CONNECTOR, (Stage(Policy(connector=Learns(settings.connector_alone))),)),
        *(Way(lora_name(rank), (Stage(_lora(settings, rank)),)) for rank in settings.ranks),
        Way(
            REHEARSED,
            (Stage(_lora(settings, settings.rehearsed), Rehearse(weight=8.0, texts=128, tokens=48, batch=2)),),
        ),
        Way(FULL, (Stage(Policy(connector=beside, language_model=Learns(settings.full))),)),
    )


def _lora(settings: Settings, rank: int) -> Policy:
    return Policy(connector=Learns(settings.connector), lora=LoraLearns(settings.lora, rank=rank))


def measure(
    settings: Settings, seeds: Sequence[int], notes: Notes | None = None, *, quiet: bool
) -> dict[str, list[Run]]:
    """[way][seed]"""
    notes = notes or Notes()
    found: dict[str, list[Run]] = {name: [] for name in (*(way.name for way in ways(settings)), HALF)}
    bench = _Bench(settings)
    with progress("forgetting", len(seeds) * len(ways(settings)), "trainings", quiet=quiet) as reporter:
        for seed in seeds:
            for way in ways(settings):
                told = notes.once(partial(bench.taught, way, seed), way.name, seed)
                taught = {name: Run(**each) for name, each in told.items()}
                for name, each in taught.items():
                    found[name].append(each)
                run = taught[way.name]
                reporter.advance(note=f"{way.name}: {run.gained:+.3f}, forgot {run.forgot:.2%}")
    return found


class _Bench:
    """Teaches and judges. What was found before anything learned is asked when it is first compared with."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.test = clothes("test", settings.test)

    @cached_property
    def encode(self) -> Encode:
        return FeatureCache.open(None, self.start.encoder).encode

    @cached_property
    def start(self) -> VisionLanguageModel:
        return begin(ways(self.settings)[0], 0)

    @cached_property
    def named(self) -> float:
        return answered(self.start, self.test, self.encode)

    @cached_property
    def probes(self) -> list[Probe]:
        return _probes(self.start, self.settings)

    def taught(self, way: Way, seed: int) -> dict[str, dict[str, Any]]:
        """Runs, as plain values: what came of it; where all was trained, of HALF too."""
        settings = self.settings
        model = begin(way, seed)
        start = {name: each.clone() for name, each in model.state_dict().items()} if way.name == FULL else {}
        groups = teach(model, way, clothes("train", settings.pairs, seed=seed), settings.work, seed, self.encode)
        trained = sum(p.numel() for group in groups for p in group.parameters)
        found = {way.name: self._judged(model, trained)}
        if start:
            end = {name: each.float() for name, each in model.state_dict().items()}
            model.load_state_dict(interpolate({name: each.float() for name, each in start.items()}, end, 0.5))
            found[HALF] = self._judged(model, trained)
        del model
        gc.collect()
        return {name: asdict(each) for name, each in found.items()}

    def _judged(self, model: VisionLanguageModel, trained: int) -> Run:
        gained = answered(model, self.test, self.encode) - self.named
        found = gate(self.probes, _probes(model, self.settings), FORGOT)
        return Run(gained, {loss.probe: loss.share.value for loss in found.losses}, trained)


@torch.no_grad()
def _probes(model: VisionLanguageModel, settings: Settings) -> list[Probe]:
    """Likelihoods alone: instructions are too few to tell one per cent."""
    speaker = speaker_of(model)
    texts = domains(passages=settings.passages)
    asked = read_items("choices.json")["items"][: settings.questions]
    return [
        *(bits_per_byte(speaker, name, each, SILENT) for name, each in texts.items()),
        choices(speaker, asked, SILENT),
    ]


def draw(found: Mapping[str, Sequence[Run]]) -> Canvas:
    """The plane: to the right what was learned, upwards what was forgotten; small marks are seeds. Beside it each
    domain's loss."""
    figure, axes = plots.canvas(2)
    for colour, (way, runs) in zip(plots.COLOURS, found.items(), strict=False):
        right, up = gained(runs), by_seed(lambda share: 100 * share, forgot(runs))
        axes[0].scatter([run.gained for run in runs], [100 * run.forgot for run in runs], s=9, color=colour, alpha=0.6)
        axes[0].errorbar(
            right.mean, up.mean, xerr=right.half, yerr=up.half, color=colour, marker="o", label=way, elinewidth=0.8
        )
    axes[0].axhline(100 * FORGOT, color="grey", linestyle=":")
    axes[0].set_xlabel("learned: share of the test pictures named, more than before")
    axes[0].set_ylabel("forgotten: % of the bits per byte of before")
    axes[0].legend(fontsize="small")
    texts = [probe for probe in next(iter(found.values()))[0].lost if probe != CHOICES]
    rows = {
        way: {probe.removeprefix(f"{BITS}: "): Figure(tuple(100 * run.lost[probe] for run in runs)) for probe in texts}
        for way, runs in found.items()
    }
    plots.bars(axes[1], rows, [probe.removeprefix(f"{BITS}: ") for probe in texts])
    axes[1].tick_params(axis="x", labelrotation=30)
    axes[1].set_title("% forgotten, by domain")
    return figure
