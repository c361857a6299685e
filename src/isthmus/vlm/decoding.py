"""From logits to tokens, and from tokens to text that can be shown while it grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from isthmus.errors import InputError
from isthmus.text_stream import Detokenizer, StopStrings


@dataclass(frozen=True)
class Decoding:
    """`max_tokens` at most; `temperature` 0 takes the likeliest token, above it tokens are drawn from the smallest set
    whose probability reaches `top_p`; `stop` strings end the answer and are not part of it; `seed` of the draws.

    Raises InputError for values out of range. Source of top-p: Holtzman et al., 2020.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"max_tokens is {self.max_tokens}", todo="1 or more")
        if self.temperature < 0:
            raise InputError(f"temperature is {self.temperature}", todo="0 for the likeliest token, or above")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}", todo="above 0 and at most 1")
        if "" in self.stop:
            raise InputError("a stop string is empty", why="it would end every answer at once")


class Chooser:
    """Logits [B, V] -> the next token of each row, [B] int64."""

    def __init__(self, decoding: Decoding, device: torch.device) -> None:
        self._warpers: list[Any] = []
        self._random: torch.Generator | None = None
        if decoding.temperature > 0:
            self._random = torch.Generator(device).manual_seed(decoding.seed)
            self._warpers.append(TemperatureLogitsWarper(decoding.temperature))
            if decoding.top_p < 1:
                self._warpers.append(TopPLogitsWarper(decoding.top_p))

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
