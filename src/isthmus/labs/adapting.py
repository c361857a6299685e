"""The default model learns of few pictures, in several ways: what the labs `forgetting` and `scarce` share.

The encoder is frozen in all of them, as in every composed model, so its features are computed once a picture. Weights
that learn are float32 and are computed with in bf16, where the processor is the faster at it.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from isthmus.connectors.mlp import MlpConnector
from isthmus.data.example import Example, Examples
from isthmus.data.mixture import Mixture
from isthmus.labs.frozen_or_full import word_for_word
from isthmus.precision import fast_autocast
from isthmus.training.ahead import Encode, sources_of
from isthmus.training.answering import AnsweringTask
from isthmus.training.conversations import ConversationBatches, laid_out
from isthmus.training.loop import Group, LoopSettings, train
from isthmus.training.policy import Policy
from isthmus.training.rehearsal import Rehearsal, Rehearse, remember_own
from isthmus.vlm.load import load_vlm
from isthmus.vlm.model import VisionLanguageModel

START = "default/vlm"
Remembered: TypeAlias = dict[tuple[Rehearse, int], Rehearsal]
"""By what is rehearsed and the seed."""


@dataclass(frozen=True)
class Stage:
    """What learns, and what is rehearsed beside it. `share` of all steps, relative to the other stages'."""

    learns: Policy
    rehearsal: Rehearse | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Way:
    """Stages, one after the other. `scratch`: connector and language model begin as noise, in the shape of an MLP and
    of the language model they replace."""

    name: str
    stages: tuple[Stage, ...]
    scratch: bool = False


@dataclass(frozen=True)
class Work:
    """`steps` of `batch` pictures, over all stages together; a tenth of each stage's to warm up."""

    steps: int
    batch: int


def begin(way: Way, seed: int) -> VisionLanguageModel:
    """What is to learn."""
    model = load_vlm(START)
    if not way.scratch:
        return model
    language = model.language_model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        connector = MlpConnector(model.encoder.width, language.config.hidden_size)
        fresh = type(language)(language.config).to(language.device).eval()
    return VisionLanguageModel(model.encoder, connector, fresh, model.tokenizer, model.template, name="noise")


def teach(
    model: VisionLanguageModel,
    way: Way,
    examples: Examples,
    work: Work,
    seed: int,
    encode: Encode,
    remembered: Remembered | None = None,
) -> list[Group]:
    """`model` learns `examples` in place. What learned in the last stage. `remembered`: what models that began the same
    have written, and what this one writes."""
    groups: list[Group] = []
    remembered = {} if remembered is None else remembered
    for each in {stage.rehearsal for stage in way.stages}:
        if each is not None and (each, seed) not in remembered:
            remembered[each, seed] = remember_own(model, each, seed=seed)
    steps = _steps(way.stages, work.steps)
    for at, stage in enumerate(way.stages):
        torch.manual_seed(seed)  # what adapters begin as
        rehearsal = None if stage.rehearsal is None else remembered[stage.rehearsal, seed]
        task = AnsweringTask(model, stage.learns, rehearsal=rehearsal)
        batches = ConversationBatches(model, Mixture([examples], seed=seed + at), work.batch, cached=encode)
        settings = LoopSettings(steps[at], warmup=0.1)
        groups = task.groups()
        with tempfile.TemporaryDirectory() as folder:
            train(task, batches, settings, Path(folder), seed=seed, quiet=True)
    model.requires_grad_(False).eval()
    return groups


def _steps(stages: Sequence[Stage], steps: int) -> list[int]:
    """`steps` in all."""
    shares = [stage.share for stage in stages]
    ends = [round(steps * sum(shares[: at + 1]) / sum(shares)) for at in range(len(shares))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


@torch.no_grad()
def answered(
    model: VisionLanguageModel, examples: Examples, encode: Encode, *, shifted: int = 0, batch: int = 10
) -> float:
    """The share answered word for word.

    `shifted`: each question is asked of the picture so many places further on.
    """
    model.eval()
    right: list[bool] = []
    for start in range(0, len(examples), batch):
        part = [examples[at] for at in range(start, min(start + batch, len(examples)))]
        seen: list[Example] = [examples[(start + at + shifted) % len(examples)] for at in range(len(part))]
        asked = [(each.messages, sources_of(other)) for each, other in zip(part, seen, strict=True)]
        samples, features, errors = laid_out(model, asked, encode)
        assert not errors, errors
        with fast_autocast(model.language_model.device):
            out = model(samples, features)
        right += word_for_word(out, samples)
    return sum(right) / len(right)
