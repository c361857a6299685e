"""Train a composed model on conversations: each assistant's word is to be as likely as possible.

A batch may hold pictures or none: the connector takes part in every step all the same, so that ranks never wait for
each other's gradients.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from isthmus.training.loop import Group
from isthmus.training.policy import Policy, apply
from isthmus.training.rehearsal import Rehearsal
from isthmus.vision.features import Features
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Sample

SHORT = 128
"""Positions up to which bf16 attention on a processor learns faster by plain matrix products: torch's fused kernel goes
backward slowly there (75 positions of SmolLM2's width, one core: 37 ms a layer against 15; 200 positions: equal)."""


@dataclass(frozen=True)
class Conversations:
    """A batch: samples, the features of all their pictures in reading order (None: there are none), and where each
    sample comes from. `rows`: how many samples stand in each row (None: one)."""

    samples: tuple[Sample, ...]
    features: Features | None
    places: tuple[str, ...]
    rows: tuple[int, ...] | None = None


class AnsweringTask:
    """Task of the loop. Counted are labelled tokens."""

    counted = "tokens"

    def __init__(
        self,
        model: VisionLanguageModel,
        policy: Policy,
        *,
        activation_checkpointing: bool = False,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        """Freezes and thaws `model` as the policy says. `activation_checkpointing`: the language model's layers,
        whether they learn or not, are computed again in the backward pass instead of being kept: less memory, more
        time. `rehearsal`: what the language model is to find as likely as before. Raises InputError where layers cannot
        be computed again."""
        self.model = model
        self._groups = apply(policy, model)
        model.set_recomputed(activation_checkpointing)
        self.module: nn.Module = _Answering(model, rehearsal, recomputed=activation_checkpointing)

    def groups(self) -> list[Group]:
        return self._groups

    def weight(self, batch: Conversations) -> int:
        return sum(sample.trained for sample in batch.samples)

    def places(self, batch: Conversations) -> Sequence[str]:
        return batch.places


class _Answering(nn.Module):
    def __init__(self, model: VisionLanguageModel, rehearsal: Rehearsal | None, *, recomputed: bool) -> None:
        super().__init__()
        self.model, self._rehearsal, self._recomputed = model, rehearsal, recomputed

    def forward(self, batch: Conversations, count: int) -> dict[str, Tensor]:
        with self._attention(batch):
            answering = self.model(batch.samples, batch.features, count=count, rows=batch.rows).loss
            if self._rehearsal is None:
                return {"loss": answering}
            # which texts hangs on the records alone: the same when a training goes on
            share = sum(sample.trained for sample in batch.samples) / count
            forgotten = share * self._rehearsal.divergence(self.model.language_model, *batch.places)
        return {
            "loss": answering + self._rehearsal.settings.weight * forgotten,
            "answering": answering,
            "forgotten": forgotten,
        }

    def _attention(self, batch: Conversations) -> AbstractContextManager[None]:
        """What is recomputed in the backward pass is so outside of here, and has to be computed alike."""
        short = batch.rows is None and max(len(each.ids) for each in batch.samples) <= SHORT
        plain = torch.is_autocast_enabled("cpu") and short and not self._recomputed
        return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()
