"""Lab `stages`' runs: one model trained in one stage or in two, by the project's own policies and loop."""

import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from torch import Tensor, nn

from isthmus.labs.asked_shapes import Shapes, shapes, without_looking
from isthmus.labs.english import TEXT
from isthmus.labs.frozen_course import ENCODER, LANGUAGE_MODEL
from isthmus.labs.frozen_or_full import TEMPLATE, answered, fresh_connector, perplexity
from isthmus.labs.told_shapes import Batches, Text, asked, looked_at, overviews, plan, told
from isthmus.precision import fast_dtype
from isthmus.progress import Progress, progress
from isthmus.threads import keep_memory
from isthmus.training.answering import AnsweringTask, Conversations
from isthmus.training.batches import Asked
from isthmus.training.default_vlm import default_encoder
from isthmus.training.loop import LOG, LoopSettings, train
from isthmus.training.policy import Learns, LoraLearns, Policy, parts_of
from isthmus.training.sealed import require_unchanged, sealed
from isthmus.vision.depths import OVERVIEWS, DepthsEncoder
from isthmus.vlm.language_model import LanguageModel, load_language_model
from isthmus.vlm.model import VisionLanguageModel

QUESTIONS, MIXED = "one stage, questions", "one stage, mixed"
ALIGNED = "stage 1 alone"
CONNECTOR, LORA, ALL, LORA_ALONE = (f"two stages, {then}" for then in ("connector", "connector + LoRA", "all", "LoRA"))
ONE_STAGE = (QUESTIONS, MIXED)


def _policies() -> dict[str, Policy]:
    return {
        QUESTIONS: Policy(connector=Learns(1e-3), lora=LoraLearns(1e-3)),
        MIXED: Policy(connector=Learns(3e-3), lora=LoraLearns(1e-3)),
        ALIGNED: Policy(connector=Learns(3e-3)),
        CONNECTOR: Policy(connector=Learns(3e-3)),
        LORA: Policy(connector=Learns(3e-3), lora=LoraLearns(1e-3)),
        ALL: Policy(connector=Learns(1e-3), language_model=Learns(3e-5)),
        LORA_ALONE: Policy(lora=LoraLearns(1e-3)),
    }


@dataclass(frozen=True)
class Settings:
    """Sizes of the lab. `captioned`, `asked`: pictures with a caption, for stage 1, and other ones with questions, for
    stage 2; `batch`: texts of a step; `align_steps`, `steps`: of stage 1 and of stage 2; one stage has as many as
    both. `warmup`: share of a stage in which rates rise, before they fall to nothing. `learns`: by way; of two stages
    in the second, of ALIGNED in the first.

    Rates were chosen on training pictures that are in neither part, for each way by itself (docs/labs/stages.md).
    """

    captioned: int = 400
    asked: int = 200
    test: int = 80
    batch: int = 16
    align_steps: int = 36
    steps: int = 28
    warmup: float = 0.15
    learns: Mapping[str, Policy] = field(default_factory=_policies)


@dataclass(frozen=True)
class Run:
    """One way. `right`: share of the test questions answered; `blind`: the same with zeros for pictures; `perplexity`:
    of English before and after; `seconds`: of the processor for all its stages; `trained`: parameters of its last
    stage; `losses`: of each step of its last stage, per labelled token."""

    right: float
    blind: float
    perplexity: tuple[float, float]
    seconds: float
    trained: int
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Parts:
    """What every seed begins with. `seen`: of each test picture what the encoder sees."""

    language: LanguageModel
    encoder: DepthsEncoder
    captions: list[Text]
    questions: list[Text]
    test: Shapes
    seen: list[Tensor]
    without_looking: float


def prepare(settings: Settings) -> Parts:
    """Raises MissingPart where a default part or easy-vqa is not installed."""
    keep_memory()
    language = load_language_model(LANGUAGE_MODEL, dtype=fast_dtype("cpu"))
    # torch's fused attention is slow backward in bf16 on processors
    language.model.set_attn_implementation("eager")
    encoder = default_encoder(ENCODER)
    captioned = shapes(encoder, "train", settings.captioned)
    questioned = shapes(encoder, "train", settings.asked, start=settings.captioned)
    test = shapes(encoder, "test", settings.test)
    return Parts(
        language,
        encoder,
        told(looked_at(encoder, captioned), captioned),
        asked(looked_at(encoder, questioned), questioned),
        test,
        looked_at(encoder, test),
        without_looking(questioned, test),
    )


def follow(parts: Parts, settings: Settings, seeds: range, *, quiet: bool) -> list[dict[str, Run]]:
    """By seed: all ways. Raises MissingPart without peft, CorruptPart where something frozen changed."""
    first, second = settings.align_steps, settings.steps
    each = sum(first + second if way in ONE_STAGE else first if way == ALIGNED else second for way in settings.learns)
    with progress("stages", each * len(seeds), "steps", quiet=quiet) as bar:
        return [_course(parts, settings, seed, bar) for seed in seeds]


def _course(parts: Parts, settings: Settings, seed: int, bar: Progress) -> dict[str, Run]:
    """All ways from the same connector, which has learned nothing."""
    first, second = settings.align_steps * settings.batch, settings.steps * settings.batch
    seen = plan(parts.captions, parts.questions, first, second, seed)
    bench = _Bench(parts, settings, seed, bar)
    fresh = fresh_connector(parts.encoder, parts.language, seed)
    runs = {QUESTIONS: bench.run(QUESTIONS, fresh, seen.questions)[0], MIXED: bench.run(MIXED, fresh, seen.mixed)[0]}
    runs[ALIGNED], aligned = bench.run(ALIGNED, fresh, seen.captions)
    for way in (CONNECTOR, LORA, ALL, LORA_ALONE):
        runs[way], _ = bench.run(way, aligned, seen.questions[:second], runs[ALIGNED].seconds)
    return runs


@dataclass(frozen=True)
class _Bench:
    parts: Parts
    settings: Settings
    seed: int
    bar: Progress

    def run(self, way: str, connector: nn.Module, texts: Sequence[Text], seconds: float = 0.0) -> tuple[Run, nn.Module]:
        """Trains copies on all `texts`. `seconds`: what was spent on the connector before. Returns also the connector
        it ends with."""
        policy = self.settings.learns[way]
        model = self._model(connector, policy)
        before = perplexity(model, TEXT)
        task = AnsweringTask(model, policy)
        seals = sealed(parts_of(model))
        asked = Asked(model, OVERVIEWS)
        batches = _Timed(texts, self.settings.batch, asked, self.bar)
        steps = len(texts) // self.settings.batch
        with TemporaryDirectory(prefix="isthmus-stages-") as folder:
            train(task, batches, LoopSettings(steps, warmup=self.settings.warmup), Path(folder), quiet=True)
            losses = [json.loads(line)["loss"] for line in (Path(folder) / LOG).read_text("utf-8").splitlines()]
        require_unchanged(seals, parts_of(model))
        model.eval()
        ended = Run(
            right=self._right(model, asked),
            blind=self._right(model, asked, blind=True),
            perplexity=(before, perplexity(model, TEXT)),
            seconds=seconds + steps * batches.seconds,
            trained=sum(parameter.numel() for group in task.groups() for parameter in group.parameters),
            losses=tuple(losses),
        )
        return ended, model.connector

    def _model(self, connector: nn.Module, policy: Policy) -> VisionLanguageModel:
        """Where all of the language model learns it is in float32: AdamW's steps at a small rate are lost in bf16."""
        language = copy.deepcopy(self.parts.language.model)
        if policy.language_model is not None:
            language = language.float()
        tokenizer = self.parts.language.tokenizer
        return VisionLanguageModel(self.parts.encoder, copy.deepcopy(connector), language, tokenizer, TEMPLATE)

    def _right(self, model: VisionLanguageModel, asked: Asked, *, blind: bool = False, batch: int = 20) -> float:
        """Of all test questions, the share answered right, word for word."""
        right: list[bool] = []
        test, seen = self.parts.test, self.parts.seen
        for start in range(0, len(test), batch):
            groups = [[asked(question) for question in each] for each in test.asked[start : start + batch]]
            right += answered(model, groups, overviews(seen[start : start + batch]), blind=blind)
        return sum(right) / len(right)


class _Timed(Batches):
    """Notes the processor's time whenever a batch is asked for: from one to the next is a step, without checkpoints."""

    def __init__(self, texts: Sequence[Text], size: int, asked: Asked, bar: Progress) -> None:
        super().__init__(texts, size, asked)
        self._bar, self._at = bar, [time.process_time()]

    def __next__(self) -> Conversations:
        self._at.append(time.process_time())
        self._bar.advance()
        return super().__next__()

    @property
    def seconds(self) -> float:
        """Of a step, the median of all but the last."""
        return median(after - before for before, after in zip(self._at, self._at[1:], strict=False))
