"""A moving average of what is trained: steadier than the weights it follows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Of each parameter, `decay` of what it was and the rest of what it is; on its device, sharded as it is.

    Source: Polyak and Juditsky, 1992; in this form, Tarvainen and Valpola, 2017.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"an average decays by more than 0 and less than 1, not {decay}")
        self.decay, self._parameters = decay, list(parameters)
        self.values: list[Tensor] = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        torch._foreach_lerp_(self.values, [p.detach() for p in self._parameters], 1 - self.decay)


@contextmanager
def shown(values: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """The parameters have these values in here."""
    own = [p.detach().clone() for p in parameters]
    put(values, parameters)
    try:
        yield
    finally:
        put(own, parameters)


@torch.no_grad()
def put(values: Sequence[Tensor], to: Sequence[Tensor]) -> None:
    for target, value in zip(to, values, strict=True):
        target.copy_(value)
