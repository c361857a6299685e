"""What all connectors share: they train, or they never do."""

from typing import Self

import torch
from torch import Tensor, nn


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


def working_dtype(parameter: Tensor) -> torch.dtype:
    """What a module computes in: its parameters' dtype, or autocast's, so that nothing is widened to be narrowed."""
    device = parameter.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return parameter.dtype


def thaw(module: nn.Module) -> None:
    """All parameters of a connector that was loaded frozen learn, and follow `train()` again."""
    for each in module.modules():
        if isinstance(each, Trainable):
            each.trainable = True
    module.requires_grad_(True)
