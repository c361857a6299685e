"""A few learned tokens before those of any connector: a small language model has to be steered as well as told."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.connectors.connector import Text, Tokens
from isthmus.connectors.trainable import Trainable
from isthmus.vision.features import Features, Frame


class SoftPromptConnector(Trainable):
    """P learned tokens, the same for every picture, then those of `inner`; C more before its hint, if it gives one.

    A hint's tokens are stretched and shifted, each channel by a learned amount: so the language model tells them from
    other words before the question, and repeats them.

    Shapes: features.tokens [B, N, D_in] -> tokens [B, P + M + C, D_out], M being inner's, whose scores stay.
    With `inner` None (and then `width_in`) there is nothing but the P tokens: trained as others are, it answers as well
    as can be done without looking, which is the control that every figure stands beside. `prompt` [P, D_out] and `cue`
    [C, D_out]: where they start; words of the language model do. Parameters: (P + C + 2) x D_out, and inner's.
    Source: prompt tuning (Lester et al., 2021), section 2; the start from words is its section 3.2.
    """

    def __init__(
        self,
        prompt: Tensor,
        inner: Any = None,
        *,
        cue: Tensor | None = None,
        width_in: int | None = None,
        trainable: bool = True,
    ) -> None:
        """Raises ValueError where `inner` speaks in another width than the prompt, where neither says width_in, and for
        a cue to a hint that nobody gives."""
        super().__init__(trainable)
        cue = prompt[:0] if cue is None else cue
        for steering in (prompt, cue):
            if inner is not None and inner.width_out != steering.shape[1]:
                raise ValueError(f"a prompt {steering.shape[1]} wide before tokens {inner.width_out} wide")
        width_in = inner.width_in if inner is not None else width_in
        if width_in is None:
            raise ValueError("a prompt alone has to be told how wide the features are that it does not look at")
        self.width_in: int = width_in
        self.width_out: int = prompt.shape[1]
        self.prompt = nn.Parameter(prompt.detach().clone().float())
        self.cue = nn.Parameter(cue.detach().clone().float())
        self.inner = inner
        self.stretch = nn.Parameter(torch.zeros(self.width_out)) if self.hints else None
        self.shift = nn.Parameter(torch.zeros(self.width_out)) if self.hints else None
        if len(cue) and not self.hints:
            raise ValueError("a cue stands before a hint, and this connector gives none")
        if not trainable:
            self.requires_grad_(False).eval()

    @property
    def steering(self) -> list[nn.Parameter]:
        """What is the same for every picture."""
        return [each for each in (self.prompt, self.cue, self.stretch, self.shift) if each is not None]

    def num_tokens(self, n: int, frame: Frame | None = None) -> int:
        own = len(self.prompt) + len(self.cue)
        return own + (self.inner.num_tokens(n, frame) if self.inner is not None else 0)

    @property
    def hints(self) -> int:
        """How many of the last tokens depend on a question: inner's."""
        return getattr(self.inner, "hints", 0)

    def forward(self, features: Features, text: Text | None = None) -> Tokens:
        if self.inner is None:
            nothing = self.prompt.new_empty(len(features.tokens), 0, self.width_out)
            return self._steered(Tokens(nothing, features.mask[:, :0]))
        if not self.hints:
            return self._steered(self.inner(features, text))
        seen = self.look(features)
        return seen.then(self.hint(seen, text))

    def look(self, features: Features) -> Tokens:
        """What depends on no question (HintConnector)."""
        return self._steered(self.inner.look(features))

    def hint(self, seen: Tokens, text: Text | None) -> Tokens:
        """Inner's hint about what `look` saw (HintConnector), stretched and shifted."""
        inner = slice(len(self.prompt), seen.tokens.shape[1] - len(self.cue))
        hint: Tokens = self.inner.hint(replace(seen, tokens=seen.tokens[:, inner], mask=seen.mask[:, inner]), text)
        assert self.stretch is not None and self.shift is not None
        tokens = hint.tokens * (1 + self.stretch) + self.shift
        return replace(hint, tokens=tokens.to(hint.tokens.dtype))

    def _steered(self, seen: Tokens) -> Tokens:
        """The prompt, what is given, the cue."""
        prompt, cue = (each.to(seen.tokens.dtype).expand(len(seen.tokens), -1, -1) for each in (self.prompt, self.cue))
        masks = seen.mask.new_ones(prompt.shape[:2]), seen.mask, seen.mask.new_ones(cue.shape[:2])
        return replace(seen, tokens=torch.cat([prompt, seen.tokens, cue], dim=1), mask=torch.cat(masks, dim=1))
