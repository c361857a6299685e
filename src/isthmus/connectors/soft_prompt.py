"""A few learned tokens before those of any connector: a small language model has to be steered as well as told."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.trainable import Trainable
from isthmus.vision.features import Features, Frame


class SoftPromptConnector(Trainable):
    """P learned tokens, the same for every picture, then those of `inner`.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, P + M, D_out], M being inner's, whose scores stay as they are.
    With `inner` None (and then `width_in`) there is nothing but the P tokens: trained as others are, it answers as well
    as can be done without looking, which is the control that every figure stands beside. `prompt` [P, D_out]: where
    they start; words of the language model do. Parameters: P x D_out, and inner's.
    Source: prompt tuning (Lester et al., 2021), section 2; the start from words is its section 3.2.
    """

    def __init__(
        self, prompt: Tensor, inner: Any = None, *, width_in: int | None = None, trainable: bool = True
    ) -> None:
        """Raises ValueError where `inner` speaks in another width than the prompt, or where neither says width_in."""
        super().__init__(trainable)
        if inner is not None and inner.width_out != prompt.shape[1]:
            raise ValueError(f"a prompt {prompt.shape[1]} wide before tokens {inner.width_out} wide")
        width_in = inner.width_in if inner is not None else width_in
        if width_in is None:
            raise ValueError("a prompt alone has to be told how wide the features are that it does not look at")
        self.width_in: int = width_in
        self.width_out: int = prompt.shape[1]
        self.prompt = nn.Parameter(prompt.detach().clone().float())
        self.inner = inner
        if not trainable:
            self.requires_grad_(False).eval()

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:
        return len(self.prompt) + (self.inner.num_tokens(n, frame) if self.inner is not None else 0)

    @property
    def hints(self) -> int:
        """How many of the last tokens depend on a question: inner's."""
        return getattr(self.inner, "hints", 0)

    def forward(self, features: Features, text: Text | None = None) -> Tokens:
        if self.inner is None:
            nothing = self.prompt.new_empty(len(features.tokens), 0, self.width_out)
            return self.before(Tokens(nothing, features.mask[:, :0]))
        return self.before(self.inner(features, text))

    def look(self, features: Features) -> Tokens:
        """What depends on no question (HintConnector)."""
        return self.before(self.inner.look(features))

    def hint(self, seen: Tokens, text: Text | None) -> Tokens:
        """Inner's hint about what `look` saw (HintConnector)."""
        first = len(self.prompt)
        hint: Tokens = self.inner.hint(replace(seen, tokens=seen.tokens[:, first:], mask=seen.mask[:, first:]), text)
        return hint

    def before(self, seen: Tokens) -> Tokens:
        """The prompt, then what is given."""
        prompt = self.prompt.to(seen.tokens.dtype).expand(len(seen.tokens), -1, -1)
        mask = seen.mask.new_ones(prompt.shape[:2])
        return Tokens(torch.cat([prompt, seen.tokens], dim=1), torch.cat([mask, seen.mask], dim=1), seen.scores)
