"""The simplest connector: one affine map."""

from torch import nn

from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.trainable import Trainable, working_dtype
from isthmus.vision.features import Features, Frame


class LinearConnector(Trainable):
    """One affine map per token: every patch keeps its own place in the language model's space.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, N, D_out]; the mask passes through. Text is not read.
    `dropout` acts on what goes into the map. Source: LLaVA (Liu et al., 2023), section 4.1.
    """

    def __init__(self, width_in: int, width_out: int, *, dropout: float = 0.0, trainable: bool = True) -> None:
        super().__init__(trainable)
        self.width_in, self.width_out = width_in, width_out
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width_in, width_out)
        self.built()

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:  # noqa: ARG002  the protocol's
        return n

    def forward(self, features: Features, text: Text | None = None) -> Tokens:  # noqa: ARG002  the protocol's
        tokens = features.tokens.to(working_dtype(self.project.weight))
        return Tokens(self.project(self.dropout(tokens)), features.mask)
