"""From logits to tokens, and from tokens to text that can be shown while it grows."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from isthmus.options import Options
from isthmus.text_stream import Detokenizer, StopStrings


class Chooser:
    """Logits [B, V] -> the next token of each row, [B] int64."""

    def __init__(self, options: Options, device: torch.device) -> None:
        self._warpers: list[Any] = []
        self._random: torch.Generator | None = None
        if options.temperature > 0:
            self._random = torch.Generator(device)
            if options.seed is None:
                self._random.seed()
            else:
                self._random.manual_seed(options.seed)
            self._warpers.append(TemperatureLogitsWarper(options.temperature))
            if options.top_p < 1:
                self._warpers.append(TopPLogitsWarper(options.top_p))

    def __call__(self, logits: Tensor) -> Tensor:
        if self._random is None:
            return logits.argmax(-1)
        scores = logits.float()
        for warper in self._warpers:
            scores = warper(None, scores)
        return torch.multinomial(scores.softmax(-1), 1, generator=self._random).squeeze(1)


class TextGrower:
    """Tokens in, text out as soon as it is certain: whole characters, and no part of what may become a stop string.

    `lead` is left out where the text begins with it.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str], lead: str) -> None:
        def decode(ids: Sequence[int]) -> str:
            text: str = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
            return text

        self._text, self._stops = Detokenizer(decode), StopStrings(stop)
        self._lead, self._begun = lead, False

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come. What follows it is no part of the text."""
        return self._stops.found

    def push(self, token: int) -> str:
        """The text that became certain with this token; often empty."""
        return self._release(self._text.add(token))

    def finish(self) -> str:
        """What was held back, now that nothing follows. A character that lacks bytes is shown as U+FFFD."""
        return self._release(self._text.end()) + self._stops.end()

    def _release(self, grown: str) -> str:
        if grown and not self._begun:
            self._begun = True
            grown = grown.removeprefix(self._lead)
        return self._stops.add(grown)
