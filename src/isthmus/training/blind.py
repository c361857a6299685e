"""The control that sees nothing: what can be guessed from the questions alone, by a model trained to guess."""

import torch
from torch import nn

from isthmus.connectors.connector import Text, Tokens
from isthmus.vision.features import Features, Frame


class BlindConnector(nn.Module):
    """`count` learned tokens, the same for every picture.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, count, D_out]. Trained as a seeing connector is, it answers as
    well as can be done without looking. `like` [count, D_out]: where it starts.
    """

    def __init__(self, width_in: int, like: torch.Tensor) -> None:
        super().__init__()
        self.width_in, self.width_out = width_in, like.shape[1]
        self.tokens = nn.Parameter(like.detach().clone().float())

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:  # noqa: ARG002  always as many
        return len(self.tokens)

    def forward(self, features: Features, text: Text | None = None) -> Tokens:  # noqa: ARG002  it is blind
        tokens = self.tokens.expand(len(features.tokens), -1, -1)
        return Tokens(tokens, features.mask.new_ones(tokens.shape[:2]))
