"""Reading on: what a causal language model has read, kept, so that what comes next is read alone.

Notation: B conversations, S positions, D width, V vocabulary. A Reading is of one conversation and outlives its turns;
a BatchReading is of many and of one answer each.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import torch
from torch import Tensor
from transformers import DynamicCache

from isthmus.stopwatch import part
from isthmus.vlm.splice import Batch

if TYPE_CHECKING:
    from isthmus.vlm.model import VisionLanguageModel

Read: TypeAlias = int | tuple[str, int]
"""What stood at a position: a token's id, or (a picture's content key, the number of its token)."""


class Reading(Protocol):
    """What one conversation's language model has read."""

    def keep(self, read: Sequence[Read]) -> int:
        """Forget all but the beginning shared with this prompt; how many positions that is. One position is always left
        to read, for the answer's first logits come from it."""

    def begin(self, embeds: Tensor, read: Sequence[Read]) -> Tensor:
        """Read the rest of the prompt, embeds [1, S, D], behind what is kept -> logits [1, V] of the first token."""

    def step(self, token: int) -> Tensor:
        """Read the token just generated -> logits [1, V] of the next."""


class BatchReading(Protocol):
    """What the language model has read of many conversations."""

    def begin(self, batch: Batch) -> Tensor:
        """Read the prompts -> logits [B, V] of the first tokens."""

    def step(self, tokens: Tensor) -> Tensor:
        """Read the tokens [B] just generated -> logits [B, V] of the next."""


class CausalReading:
    """Reading by a KV cache that is cropped to what the next prompt shares with it."""

    def __init__(self, model: "VisionLanguageModel") -> None:
        self._model = model
        self._forget()

    def keep(self, read: Sequence[Read]) -> int:
        if not self._whole:
            self._forget()
        common = 0
        for before, now in zip(self._read, read[:-1], strict=False):
            if before != now:
                break
            common += 1
        if common == 0:
            self._forget()
        elif common < len(self._read):
            self._cache.crop(common - len(self._read))
            del self._read[common:]
        return common

    @torch.no_grad()
    def begin(self, embeds: Tensor, read: Sequence[Read]) -> Tensor:
        with part("prefill"):
            states = self._read_on({"inputs_embeds": embeds}, read)
        with part("sample"):
            return self._model.head(states)

    @torch.no_grad()
    def step(self, token: int) -> Tensor:
        device = next(self._model.language_model.parameters()).device
        with part("sample"):
            return self._model.head(self._read_on({"input_ids": torch.tensor([[token]], device=device)}, [token]))

    def _read_on(self, inputs: dict[str, Tensor], read: Sequence[Read]) -> Tensor:
        """[1, D]: the last position's state."""
        # An interrupt in the middle leaves some layers longer than others: such a cache is not used again.
        self._whole = False
        out = self._model.language_model.base_model(**inputs, past_key_values=self._cache, use_cache=True)
        self._read += read
        self._whole = True
        states: Tensor = out.last_hidden_state[:, -1]
        return states

    def _forget(self) -> None:
        self._cache, self._read, self._whole = DynamicCache(), list[Read](), True


class CausalBatchReading:
    """BatchReading by a KV cache with a mask over the padding, on either side."""

    def __init__(self, model: "VisionLanguageModel") -> None:
        self._model, self._cache = model, DynamicCache()

    def begin(self, batch: Batch) -> Tensor:
        device = batch.embeds.device
        states = self._model.hidden(batch, self._cache)
        self._mask, self._positions = batch.mask, torch.tensor(batch.lengths, device=device)[:, None]
        rows = torch.arange(len(batch.lengths), device=device)
        return self._model.head(states[rows, torch.tensor(batch.last, device=device)])

    def step(self, tokens: Tensor) -> Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        out = self._model.language_model.base_model(
            input_ids=tokens[:, None],
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._positions = self._positions + 1
        return self._model.head(out.last_hidden_state[:, -1])
