"""Train a composed model on conversations: each assistant's word is to be as likely as possible.

A batch may hold pictures or none: the connector takes part in every step all the same, so that ranks never wait for
each other's gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from isthmus.training.loop import Group
from isthmus.training.policy import Policy, apply
from isthmus.vision.features import Features
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.sequence import Sample


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

    def __init__(self, model: VisionLanguageModel, policy: Policy, *, activation_checkpointing: bool = False) -> None:
        """Freezes and thaws `model` as the policy says. `activation_checkpointing`: the language model's layers,
        whether they learn or not, are computed again in the backward pass instead of being kept: less memory, more
        time. Raises InputError where they cannot be."""
        self.model = model
        self._groups = apply(policy, model)
        model.set_recomputed(activation_checkpointing)
        self.module: nn.Module = _Answering(model)

    def groups(self) -> list[Group]:
        return self._groups

    def weight(self, batch: Conversations) -> int:
        return sum(sample.trained for sample in batch.samples)

    def places(self, batch: Conversations) -> Sequence[str]:
        return batch.places


class _Answering(nn.Module):
    def __init__(self, model: VisionLanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Conversations, count: int) -> dict[str, Tensor]:
        return {"loss": self.model(batch.samples, batch.features, count=count, rows=batch.rows).loss}
