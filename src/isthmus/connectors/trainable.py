"""What all connectors share: they train, or they never do."""

from typing import Self

from torch import nn


class Trainable(nn.Module):
    """A module whose parameters learn where `trainable`; else they have no gradients and it stays in eval mode, even
    after `.train()` of a model that contains it: dropout in a frozen part would change what "frozen" means."""

    def __init__(self, trainable: bool) -> None:
        super().__init__()
        self.trainable = trainable

    def built(self) -> None:
        """To be called when every parameter is there."""
        self.requires_grad_(self.trainable).train()

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and self.trainable)
