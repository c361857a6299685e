"""A Q-Former so narrow that it does not learn from BERT's start."""

import torch
from torch import nn

BERT_WIDTH = 768


@torch.no_grad()
def wider_start(module: nn.Module) -> None:
    """BERT's weights begin with a deviation of .02, which suits maps from 768 numbers: from few, all that comes out is
    near zero and attention flat, and hundreds of steps pass before anything is learned. So each map's weights are
    made as much larger as the root of how much narrower it is."""
    for each in module.modules():
        if isinstance(each, nn.Linear):
            each.weight.mul_((BERT_WIDTH / each.in_features) ** 0.5)
