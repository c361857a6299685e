"""What every connector is: features in, tokens of the language model's width out.

Notation: B pictures, N tokens of the encoder, M tokens of the connector, T text tokens, D widths.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from isthmus.vision.features import Features, Frame


@dataclass(frozen=True)
class Text:
    """Text that a connector may read beside the picture (InstructBLIP's question), in the ids of its own tokenizer.

    ids [B, T] int64; mask [B, T] bool, True where there is a token.
    """

    ids: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Tokens:
    """What the language model gets of each picture. tokens [B, M, D_out]; mask [B, M] bool, True where there is one;
    scores [B, M, W]: of the words a connector that knows some made them of (AlignConnector), float32."""

    tokens: Tensor
    mask: Tensor
    scores: Tensor | None = None

    def then(self, hint: "Tokens") -> "Tokens":
        """These, then the tokens of a hint; the scores stay these tokens'."""
        tokens = torch.cat([self.tokens, hint.tokens.to(self.tokens.dtype)], dim=1)
        return Tokens(tokens, torch.cat([self.mask, hint.mask], dim=1), self.scores)


class Connector(Protocol):
    """The strip between a frozen encoder of width `width_in` and a frozen language model of width `width_out`.

    Every connector is an nn.Module.
    """

    width_in: int
    width_out: int

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:
        """How many tokens come out for a picture of n encoder tokens; what `__call__` returns is held to it.

        `frame`: that picture's, which a connector asks for that arranges tiles (TilesConnector); others do not look.
        """

    def __call__(self, features: Features, text: Text | None = None) -> Tokens: ...
